import type { Node } from '../nodes/node.ts';

/** Pools that have nodes to take devices, none of which is healthy: all of them are tried (panic mode). */
export function poolsInPanic(nodes: readonly Node[]): Set<string> {
  const usable = new Map<string, boolean>();
  for (const { pool, state, health } of nodes) {
    if (state === 'enabled') usable.set(pool, usable.get(pool) === true || health !== 'unhealthy');
  }
  return new Set([...usable].filter(([, any]) => !any).map(([pool]) => pool));
}
