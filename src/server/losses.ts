import type { PoolConfig } from '../config/config.ts';
import type { Evidence } from '../connection/evidence.ts';
import type { Checker, Timers } from '../control/checker.ts';
import { NodeLosses } from '../control/node-losses.ts';
import type { Routes } from '../control/routes.ts';
import type { Verdict } from '../data-plane/messages.ts';
import type { Log } from '../log.ts';
import type { NodeTable } from '../nodes/table.ts';
import { sharedClock } from '../time.ts';
import type { PoolTls } from './pool-tls.ts';
import { lookForLife } from './probe-node.ts';

export interface LossesParts {
  readonly nodes: NodeTable;
  readonly poolNamed: (name: string) => PoolConfig;
  readonly poolTls: PoolTls;
  readonly routes: Pick<Routes, 'literalOf'>;
  readonly checker: Pick<Checker, 'suspect'>;
  readonly judge: (verdict: Verdict) => void;
  readonly log: Log;
  readonly timers: Timers;
}

/** What links that end say of their nodes: asked of the nodes, told to the threads, to health and to the log. */
export function createLosses(parts: LossesParts): NodeLosses {
  const { nodes, poolNamed, poolTls, routes, checker, judge, log, timers } = parts;
  return new NodeLosses({
    probe(id) {
      const node = nodes.has(id) ? nodes.get(id) : undefined;
      return node && lookForLife(node, poolNamed(node.pool), poolTls, routes.literalOf(node));
    },
    verdict: (node: string, evidence: Evidence | undefined, asOfMs: number) =>
      judge({ node, evidence, asOfMs }),
    onGone(node, why) {
      log.warn({ node, ...why }, 'links to the node ended, and it is gone');
      checker.suspect(node);
    },
    ...{ clock: sharedClock, timers },
  });
}
