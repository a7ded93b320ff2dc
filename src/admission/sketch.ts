import { mix32 } from '../balance/hash.ts';

/**
 * Tables of fixed size for any number of keys (count-min sketch; Cormode and Muthukrishnan 2005). Each key has one slot
 * in each of four rows, and the least of the four is what is known of it. Others that share a slot can make that too
 * high, never too low: a limit is kept whatever comes, and a key is taken for worse than it is only when all four of
 * its slots are shared with bad ones. There is no "full" and nothing to evict; a million keys cost what one costs.
 *
 * The arrays may lie in shared memory and be used by several threads.
 */

const ROWS = 4;
const SECOND = 0x9e37_79b9;

/** Elements that a sketch of so many slots a row needs; a power of two. */
export function sketchLength(slots: number): number {
  return ROWS * 2 ** Math.ceil(Math.log2(Math.max(slots, 16)));
}

/** Index of the slot of a key in one row. */
function slotOf(length: number, hash: number, row: number): number {
  const slots = length / ROWS;
  const step = mix32(hash ^ SECOND) | 1;
  return row * slots + ((mix32(hash) + Math.imul(row, step)) & (slots - 1));
}

/**
 * Leaky buckets: how far each key is ahead of its pace, in milliseconds, going down by itself. A cell is the moment at
 * which its bucket is empty. Two threads that raise one key at the same instant may count as one; that is tolerated.
 */
export interface LevelSketch {
  /** 0 when the key has been quiet for long enough. */
  level(hash: number, nowMs: number): number;
  raise(hash: number, levelMs: number, nowMs: number): void;
}

/** `cells` has `sketchLength` elements. All threads that share it must share the clock as well. */
export function createLevelSketch(cells: Float64Array): LevelSketch {
  return {
    level(hash, nowMs) {
      let least = Number.POSITIVE_INFINITY;
      for (let row = 0; row < ROWS; row++) {
        least = Math.min(least, cells[slotOf(cells.length, hash, row)] as number);
      }
      return Math.max(0, least - nowMs);
    },
    raise(hash, levelMs, nowMs) {
      for (let row = 0; row < ROWS; row++) {
        const slot = slotOf(cells.length, hash, row);
        // Only up to what is known: a neighbour is burdened no more than it must be ("conservative update").
        cells[slot] = Math.max(cells[slot] as number, nowMs + levelMs);
      }
    },
  };
}

/** Counts that go up and down: one stripe a thread, which alone writes it; the sum over all stripes counts. */
export interface CountSketch {
  /** Adds to this thread's stripe. */
  add(hash: number, change: 1 | -1): void;
  /** Over all threads; never too low. */
  count(hash: number): number;
}

/** Each stripe has `sketchLength` elements. A thread that died leaves its stripe to be filled with zeros. */
export function createCountSketch(stripes: readonly Int32Array[], own: Int32Array): CountSketch {
  return {
    add(hash, change) {
      for (let row = 0; row < ROWS; row++) Atomics.add(own, slotOf(own.length, hash, row), change);
    },
    count(hash) {
      let least = Number.POSITIVE_INFINITY;
      for (let row = 0; row < ROWS; row++) {
        const slot = slotOf(own.length, hash, row);
        let sum = 0;
        for (const stripe of stripes) sum += Atomics.load(stripe, slot);
        least = Math.min(least, sum);
      }
      return least;
    },
  };
}
