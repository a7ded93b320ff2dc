/** How changes of nodes read in the log and in the event stream. */

import type { BreakwaterEvent } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import { poolsInPanic } from '../health/pool-watch.ts';
import type { NodeChange, NodeTable } from '../nodes/table.ts';

const changeText = {
  changed: 'node declared anew',
  state: 'node state changed',
  weight: 'node weight changed',
} as const;

interface Flip {
  readonly cause: string;
  /** RFC 3339. */
  readonly at: string;
}

/**
 * Reports what happens to nodes: one log line and one event for each change, and one when a pool has no healthy
 * node.
 */
export function watchNodes(nodes: NodeTable, log: Log, emit: (event: BreakwaterEvent) => void) {
  const flips = new Map<string, Flip>();
  let panic = new Set<string>();

  function tell(change: NodeChange): void {
    const at = new Date().toISOString();
    const { id, pool, url, state, health, weight, source } = change.node;
    switch (change.kind) {
      case 'added':
        log.info({ node: id, pool, url, weight, source }, 'node added');
        return emit({ type: 'node-added', at, node: id, pool, url });
      case 'removed':
        flips.delete(id);
        log.info({ node: id, pool }, 'node removed');
        return emit({ type: 'node-removed', at, node: id, pool });
      case 'health': {
        const { cause } = change;
        flips.set(id, { cause, at });
        const line = health === 'unhealthy' ? log.warn : log.info;
        line.call(log, { node: id, cause }, `node ${health}`);
        return emit({ type: 'node-health', at, node: id, health, cause });
      }
      case 'busy': {
        const isBusy = change.node.isBusy ?? false;
        return log.info(
          { node: id },
          isBusy ? 'node lives, and takes nobody now' : 'node is not busy any more',
        );
      }
      default:
        log.info({ node: id, state, weight, url }, changeText[change.kind]);
        return emit({ type: 'node-state', at, node: id, state, weight });
    }
  }

  function watchPanic(): void {
    const now = poolsInPanic(nodes.list());
    for (const pool of now) {
      if (panic.has(pool)) continue;
      log.error({ pool }, 'no healthy node: trying all of them (panic mode)');
      emit({ type: 'panic', at: new Date().toISOString(), pool, state: 'began' });
    }
    for (const pool of panic) {
      if (now.has(pool)) continue;
      log.info({ pool }, 'a node is healthy again: panic mode ended');
      emit({ type: 'panic', at: new Date().toISOString(), pool, state: 'ended' });
    }
    panic = now;
  }

  /** A reload changes many nodes at once, so the pool is looked at only after the last of these changes. */
  let isDue = false;
  nodes.onChange((change) => {
    tell(change);
    if (isDue) return;
    isDue = true;
    queueMicrotask(() => {
      isDue = false;
      watchPanic();
    });
  });
  return {
    lastFlip: (id: string): Flip | undefined => flips.get(id),
    /** A flip that an older process saw, with its time. */
    flipped: (id: string, flip: Flip): void => void flips.set(id, flip),
  };
}
