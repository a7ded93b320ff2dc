import type { ControlState } from './control-state.ts';
import type { NodeParts } from './node-parts.ts';

/** What one process knows of how nodes fare, for the next. */

type HealthParts = Pick<NodeParts, 'checker' | 'probes' | 'lastFlip' | 'flipped'>;

export function describeHealth({ checker, probes, lastFlip }: HealthParts): ControlState['nodes'] {
  return checker
    .describe()
    .map((known) => ({ ...known, flip: lastFlip(known.id), probes: [...probes.of(known.id)] }));
}

/** Call it when the nodes are known. */
export function restoreHealth(nodes: ControlState['nodes'], { checker, probes, flipped }: HealthParts): void {
  for (const { flip, probes: results, ...known } of nodes) {
    checker.restore(known, flip?.cause ?? 'known before the upgrade');
    if (flip !== undefined) flipped(known.id, flip);
    for (const result of results) probes.add(known.id, result);
  }
}
