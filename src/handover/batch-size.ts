/**
 * How many connections of each thread stand still together. The new process has run nothing of this before, and takes a hundred times as
 * long for its first connection as for later ones: so few begin, and more follow as long as that is quick.
 */

export const FIRST_BATCH = 1;
const LEAST = 4;
const MOST = 64;
/** A batch may stand still for so long before the next one is smaller. */
const QUICK_MS = 15;

/** @param tookMs how long the last batch, of `size`, stood still */
export function nextBatchSize(size: number, tookMs: number): number {
  return tookMs <= QUICK_MS ? Math.min(MOST, size * 2) : Math.max(LEAST, size >> 1);
}
