import type { Candidate } from './strategy.ts';

/** Index of the best candidate that is not marked in `tried`, or -1 when none is left. */
export type PickBest = (tried: Uint8Array | undefined) => number;

/**
 * Candidates best first, found only as far as they are asked for. Nearly every connection takes the first and no
 * more, so that one costs a single pass over the set; the marks are allocated with the first retry.
 */
export function bestFirst(set: readonly Candidate[], pick: PickBest): Iterator<number, undefined> {
  let tried: Uint8Array | undefined;
  let last = -1;
  return {
    next() {
      if (last >= 0) {
        tried ??= new Uint8Array(set.length);
        tried[last] = 1;
      }
      last = pick(tried);
      const candidate = set[last];
      return candidate ? { done: false, value: candidate.slot } : { done: true, value: undefined };
    },
  };
}
