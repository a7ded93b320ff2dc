import type { Candidate } from './strategy.ts';

/** Index of the best candidate that is not marked in `tried`, or -1 when none is left. */
type PickBest = (tried: Uint8Array | undefined) => number;

/**
 * Candidates best first, found only as far as they are asked for. Nearly every connection takes the first and no
 * more, so that one costs a single pass over the set; the marks are allocated with the first retry.
 */
export class BestFirst implements Iterator<number, undefined> {
  private readonly set: readonly Candidate[];
  private readonly pick: PickBest;
  private tried: Uint8Array | undefined;
  private last = -1;

  constructor(set: readonly Candidate[], pick: PickBest) {
    this.set = set;
    this.pick = pick;
  }

  next(): IteratorResult<number, undefined> {
    if (this.last >= 0) {
      this.tried ??= new Uint8Array(this.set.length);
      this.tried[this.last] = 1;
    }
    this.last = this.pick(this.tried);
    const candidate = this.set[this.last];
    return candidate ? { done: false, value: candidate.slot } : { done: true, value: undefined };
  }
}
