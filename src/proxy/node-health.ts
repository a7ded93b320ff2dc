/** Ties the checks of node health to the node table: probes, failed dials and lost connections. */

import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { sharedClock, systemClock, systemRandom, systemTimers } from '../base/time.ts';
import type { PoolConfig } from '../config/config.ts';
import type { Verdict } from '../data-plane-api/messages.ts';
import { Checker } from '../health/checker.ts';
import type { Finding } from '../health/index.ts';
import { NodeLosses } from '../health/node-losses.ts';
import { ProbeHistory } from '../health/probe-history.ts';
import type { BreakwaterEvent } from '../journal/event.ts';
import type { NodeTable } from '../nodes/table.ts';
import type { PoolTls } from './pool-tls.ts';
import { type AddressesAt, lookAtNode, probeNode } from './probe-node.ts';

interface NodeHealthParts {
  readonly nodes: NodeTable;
  readonly poolNamed: (name: string) => PoolConfig;
  readonly poolTls: PoolTls;
  readonly addressesAt: AddressesAt;
  /** See `WorkerPool.settled`. */
  readonly settled: () => Promise<void>;
  /** The store is shared with other proxies. */
  readonly hasPeers: () => boolean;
  /** Links that this proxy has at a node. */
  readonly liveAt: (nodeId: string) => number;
  /** Sends every worker the verdict on a node. */
  readonly judge: (verdict: Verdict) => void;
  readonly onProbe: (seconds: number) => void;
  readonly emit: (event: BreakwaterEvent) => void;
  readonly log: Log;
}

/** Makes the health checks of this proxy: probes, and what nodes do to devices. */
export function createNodeHealth(parts: NodeHealthParts) {
  const { nodes, poolNamed, poolTls, addressesAt, settled, hasPeers, liveAt, judge, onProbe, emit, log } =
    parts;

  const probes = new ProbeHistory();
  nodes.onChange(({ kind, node }) => {
    if (kind === 'removed') probes.forget(node.id);
  });

  /** One look for a sign of life; undefined: no such node. A look that cannot be made proves nothing. */
  async function look(id: string): Promise<Finding | undefined> {
    if (!nodes.has(id)) return undefined;
    const node = nodes.get(id);
    try {
      return await lookAtNode(node, poolNamed(node.pool), poolTls, addressesAt);
    } catch (error) {
      return { kind: 'unknown', detail: messageOf(error) };
    }
  }

  const checker = new Checker({
    probe: (node, health, signal) =>
      probeNode(node, poolNamed(node.pool), poolTls, health, signal, addressesAt),
    look: ({ id }) => look(id),
    hasLinks: (id) => liveAt(id) > 0,
    onBusy(id, isBusy) {
      if (nodes.has(id)) nodes.setBusy(id, isBusy);
    },
    healthOf: (pool) => poolNamed(pool).health,
    onFlip: (id, health, cause) => nodes.setHealth(id, health, cause),
    onProbe(id, seconds, failure) {
      onProbe(seconds);
      probes.add(id, { at: Date.now(), seconds, failure });
    },
    ...{ clock: systemClock, random: systemRandom, timers: systemTimers },
  });

  const losses = new NodeLosses({
    probe: look,
    settled,
    hasPeers,
    verdict: (node, evidence, asOfMs) => judge({ node, evidence, asOfMs }),
    onGone(node, why) {
      log.warn({ node, ...why }, 'links to the node ended, and it is gone');
      emit({ type: 'node-lost', at: new Date().toISOString(), node, ...why });
      checker.suspect(node);
    },
    ...{ clock: sharedClock, timers: systemTimers },
  });

  return { checker, losses, probes };
}
