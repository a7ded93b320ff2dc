import type { Node } from '../nodes/node.ts';

/** Says once for each drain that the last connection has left. */
export function createDrainWatch(liveAt: (id: string) => number, onDrained: (node: Node) => void) {
  const told = new Set<string>();
  return (nodes: readonly Node[]): void => {
    const draining = nodes.filter((node) => node.state === 'draining');
    const ids = new Set(draining.map((node) => node.id));
    for (const id of told) if (!ids.has(id)) told.delete(id);
    for (const node of draining) {
      if (told.has(node.id) || liveAt(node.id) > 0) continue;
      told.add(node.id);
      onDrained(node);
    }
  };
}
