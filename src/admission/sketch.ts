import { mix32 } from '../balance/hash.ts';

/**
 * Tables of fixed size for any number of keys (count-min sketch; Cormode and Muthukrishnan 2005). Each key has four
 * cells, and the least of the four is what is known of it. Others that share a cell can make that too high, never too
 * low: a limit is kept whatever comes, and a key is taken for worse than it is only when all four of its cells are
 * shared with bad ones. There is no "full" and nothing to evict; a million keys cost what one costs.
 *
 * The four lie in two blocks of eight cells, two in each, because what a lookup costs is the memory that it touches
 * (compare the blocked Bloom filters of Putze, Sanders and Singler 2007).
 *
 * Keys are hashes whose bits are all good (`mix32`). The arrays may lie in shared memory and be used by several threads.
 */

const CELLS = 4;
const BLOCK = 8;
const BLOCK_BITS = 3;
/** Bits of a hash that choose a key's two cells in a block; those below choose the block. */
const CELL_SHIFT = 28;
const SECOND = 0x9e37_79b9;

/** Elements of a sketch in which so many keys, all of them bad, still leave others alone; a power of two. */
export function sketchLength(keys: number): number {
  return CELLS * 2 ** Math.ceil(Math.log2(Math.max(keys, 16)));
}

/** The second of the two hashes by which a key's blocks are found: the first is the key itself. */
function secondOf(key: number): number {
  return mix32(key ^ SECOND);
}

/** Where a key's cell 0 to 3 is. Its first two are in the first half of the table. */
function cellAt(length: number, first: number, second: number, cell: number): number {
  const half = length >>> 1;
  const hash = cell < 2 ? first : second;
  const block = hash & ((half >>> BLOCK_BITS) - 1);
  const inBlock = (cell & 1) === 0 ? (hash >>> CELL_SHIFT) & 3 : 4 + (hash >>> (CELL_SHIFT + 2));
  return (cell < 2 ? 0 : half) + block * BLOCK + inBlock;
}

/**
 * Leaky buckets: how far each key is ahead of its pace, in milliseconds, going down by itself. A cell is the moment at
 * which its bucket is empty. Two threads that raise one key at the same instant may count as one; that is tolerated.
 */
export interface LevelSketch {
  /** 0 when the key has been quiet for long enough. */
  level(key: number, nowMs: number): number;
  raise(key: number, levelMs: number, nowMs: number): void;
}

/** `cells` has `sketchLength` elements. All threads that share it must share the clock as well. */
export function createLevelSketch(cells: Float64Array): LevelSketch {
  return {
    level(key, nowMs) {
      const second = secondOf(key);
      let least = Number.POSITIVE_INFINITY;
      for (let cell = 0; cell < CELLS; cell++) {
        least = Math.min(least, cells[cellAt(cells.length, key, second, cell)] as number);
      }
      return Math.max(0, least - nowMs);
    },
    raise(key, levelMs, nowMs) {
      const second = secondOf(key);
      for (let cell = 0; cell < CELLS; cell++) {
        const at = cellAt(cells.length, key, second, cell);
        // Only up to what is known: a neighbour is burdened no more than it must be ("conservative update").
        cells[at] = Math.max(cells[at] as number, nowMs + levelMs);
      }
    },
  };
}

/** Counts that go up and down: one stripe a thread, which alone writes it; the sum over all stripes counts. */
export interface CountSketch {
  /** Adds to this thread's stripe. Other threads see it once this one has done something atomic. */
  add(key: number, change: 1 | -1): void;
  /** Over all threads; never too low. */
  count(key: number): number;
}

/** Each stripe has `sketchLength` elements. A thread that died leaves its stripe to be filled with zeros. */
export function createCountSketch(stripes: readonly Int32Array[], own: Int32Array): CountSketch {
  return {
    add(key, change) {
      const second = secondOf(key);
      for (let cell = 0; cell < CELLS; cell++) {
        const at = cellAt(own.length, key, second, cell);
        own[at] = (own[at] as number) + change;
      }
    },
    count(key) {
      const second = secondOf(key);
      let least = Number.POSITIVE_INFINITY;
      for (let cell = 0; cell < CELLS; cell++) {
        const at = cellAt(own.length, key, second, cell);
        let sum = 0;
        for (const stripe of stripes) sum += stripe[at] as number;
        least = Math.min(least, sum);
      }
      return least;
    },
  };
}
