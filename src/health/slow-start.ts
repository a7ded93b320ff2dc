import type { Clock } from '../base/time.ts';
import type { Node } from '../nodes/node.ts';
import type { NodeChange } from '../nodes/table.ts';

/**
 * Slow start: a node that comes back, or joins while Breakwater runs, is given its share little by little, so that
 * those who wait for it do not storm it. The share grows linearly from 1% over the pool's `slowStart`.
 */
export function createSlowStart(clock: Clock, slowStartMsOf: (pool: string) => number) {
  const startedAt = new Map<string, number>();

  function shareOf({ id, pool }: Node): number {
    const since = startedAt.get(id);
    if (since === undefined) return 1;
    const share = (clock.now() - since) / slowStartMsOf(pool);
    if (share < 1) return Math.max(0.01, share);
    startedAt.delete(id);
    return 1;
  }

  return {
    shareOf,
    /** Call it for every change; `initial` while the first nodes are loaded, which all start together. */
    changed(change: NodeChange, initial: boolean): void {
      const { node } = change;
      if (change.kind === 'removed') startedAt.delete(node.id);
      else if (begins(change, initial) && slowStartMsOf(node.pool) > 0) startedAt.set(node.id, clock.now());
    },
    /** Nodes whose share is still growing. */
    starting(nodes: readonly Node[]): Node[] {
      return nodes.filter((node) => startedAt.has(node.id));
    },
  };
}

function begins(change: NodeChange, initial: boolean): boolean {
  if (change.kind === 'added') return !initial;
  if (change.kind === 'health') return change.previous.health === 'unhealthy';
  return change.kind === 'state' && change.node.state === 'enabled';
}
