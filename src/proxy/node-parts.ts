import { messageOf } from '../base/errors.ts';
import { systemClock } from '../base/time.ts';
import { createSlowStart } from '../health/slow-start.ts';
import { AddressBook } from '../membership/address-book.ts';
import { resolveHost } from '../membership/discovery/resolve.ts';
import { RoutingTableSync } from '../membership/routing-table-sync.ts';
import type { Node } from '../nodes/node.ts';
import { NodeTable } from '../nodes/table.ts';
import type { Common } from './common.ts';
import type { DataPlaneParts } from './data-plane-parts.ts';
import { watchNodes } from './node-events.ts';
import { createNodeHealth } from './node-health.ts';
import type { Teardown } from './teardown.ts';

/** The node table, the health of its nodes, and the routing table that shows every change to the workers. */
export function createNodeParts(common: Common, { threads, poolTls }: DataPlaneParts, teardown: Teardown) {
  const { current, log, table, poolNumbers, events, metrics, phase } = common;
  const nodes = new NodeTable();
  const { lastFlip, flipped } = watchNodes(nodes, log, events.emit);
  const untaken = (node: Node, error: unknown): void =>
    log.warn({ node: node.id, error: messageOf(error) }, 'node takes no devices');
  const addresses = new AddressBook({ table: nodes, resolve: resolveHost, onUnresolved: untaken });
  const { checker, losses, probes } = createNodeHealth({
    poolNamed: (name) => current.poolNamed(name),
    addressesAt: (host) => addresses.at(host),
    settled: () => threads.settled(),
    hasPeers: () => current.config.membership.store === 'redis',
    liveAt: (id) => table.liveAt(id),
    judge: (verdict) => threads.judge(verdict),
    onProbe: metrics.probed,
    emit: events.emit,
    ...{ nodes, poolTls, log },
  });
  const slowStart = createSlowStart(systemClock, (pool) => current.poolNamed(pool).slowStartMs);
  nodes.onChange((change) => {
    slowStart.changed(change, !phase.isAccepting);
    if (change.kind === 'removed') checker.remove(change.node.id);
    else checker.update(change.node);
  });
  const routes = new RoutingTableSync({
    table: nodes,
    addresses,
    poolNumber: (pool) => poolNumbers.of(pool),
    sink: table,
    shareOf: slowStart.shareOf,
    connectRateOf: (pool) => current.poolNamed(pool).upstream.connectRate,
    onUnrouted: untaken,
  });
  teardown.deferStop(addresses, routes, checker);
  return { nodes, lastFlip, flipped, addresses, checker, losses, probes, slowStart, routes };
}

export type NodeParts = ReturnType<typeof createNodeParts>;
