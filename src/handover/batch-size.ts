/**
 * How many connections of each thread stand still together. The new process has run nothing of this before, and takes a hundred times as
 * long for its first connection as for later ones: so few begin. Then there are more as long as that is quick, and never so few that
 * the way between the processes costs more than the connections: on a busy machine they would stand still no shorter, and all would take
 * several times as long.
 */

export const FIRST_BATCH = 1;
const LEAST = 16;
const MOST = 64;
/** A batch may stand still for so long before the next one is smaller. */
const QUICK_MS = 20;

/** @param tookMs how long the last batch, of `size`, stood still */
export function nextBatchSize(size: number, tookMs: number): number {
  if (size < LEAST || tookMs <= QUICK_MS) return Math.min(MOST, size * 2);
  return Math.max(LEAST, size >> 1);
}
