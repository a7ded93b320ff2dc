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
 * Keys are signed 32-bit hashes whose bits are all good (`mix32`). The arrays may lie in shared memory and be used by
 * several threads.
 */

const CELLS = 4;
const BLOCK = 8;
const SECOND = 0x9e37_79b9;

/**
 * Elements of a sketch for so many bad keys at one time, a power of two: then one good key in five is taken for bad, with
 * a quarter of them one in a hundred.
 */
export function sketchLength(keys: number): number {
  return CELLS * 2 ** Math.ceil(Math.log2(Math.max(keys, 16)));
}

/**
 * Where a key's cells are: the lower two in a block of the first half, which the key itself names, the upper two in one
 * of the second half, which a second hash names. The lowest bits choose the block, the highest the cells in it.
 */
class Places {
  readonly half: number;
  private readonly mask: number;

  constructor(length: number) {
    this.half = length / 2;
    this.mask = this.half / BLOCK - 1;
  }

  even(hash: number): number {
    return (hash & this.mask) * BLOCK + ((hash >>> 28) & 3);
  }

  odd(hash: number): number {
    return (hash & this.mask) * BLOCK + 4 + (hash >>> 30);
  }
}

/** The hash of a key by which its second block is found. */
function secondOf(key: number): number {
  return mix32(key ^ SECOND) | 0;
}

/**
 * Leaky buckets: how far each key is ahead of its pace, in milliseconds, going down by itself. A cell is the moment at
 * which its bucket is empty. Two threads that raise one key at the same instant may count as one; that is tolerated.
 */
interface LevelSketch {
  /** 0 when the key has been quiet for long enough. */
  level(key: number, nowMs: number): number;
  /** Raises the level by so much, but not above `mostMs`; returns what it is then. */
  raise(key: number, byMs: number, mostMs: number, nowMs: number): number;
}

/** `cells` has `sketchLength` elements. All threads that share it must share the clock as well. */
export function createLevelSketch(cells: Float64Array): LevelSketch {
  const at = new Places(cells.length);
  const { half } = at;
  return {
    level(key, nowMs) {
      const second = secondOf(key);
      const emptyAtMs = Math.min(
        cells[at.even(key)] as number,
        cells[at.odd(key)] as number,
        cells[half + at.even(second)] as number,
        cells[half + at.odd(second)] as number,
      );
      return Math.max(0, emptyAtMs - nowMs);
    },
    raise(key, byMs, mostMs, nowMs) {
      const second = secondOf(key);
      const a = at.even(key);
      const b = at.odd(key);
      const c = half + at.even(second);
      const d = half + at.odd(second);
      const inA = cells[a] as number;
      const inB = cells[b] as number;
      const inC = cells[c] as number;
      const inD = cells[d] as number;
      const levelMs = Math.min(Math.max(0, Math.min(inA, inB, inC, inD) - nowMs) + byMs, mostMs);
      // Only up to what is known: a neighbour is burdened no more than it must be ("conservative update").
      const emptyAtMs = nowMs + levelMs;
      if (inA < emptyAtMs) cells[a] = emptyAtMs;
      if (inB < emptyAtMs) cells[b] = emptyAtMs;
      if (inC < emptyAtMs) cells[c] = emptyAtMs;
      if (inD < emptyAtMs) cells[d] = emptyAtMs;
      return levelMs;
    },
  };
}

/** Counts that go up and down: one stripe a thread, which alone writes it; the sum over all stripes counts. */
interface CountSketch {
  /** Adds to this thread's stripe. Other threads see it once this one has done something atomic. */
  add(key: number, change: 1 | -1): void;
  /** Over all threads; never too low. */
  count(key: number): number;
}

/** Each stripe has `sketchLength` elements. A thread that died leaves its stripe to be filled with zeros. */
export function createCountSketch(stripes: readonly Int32Array[], own: Int32Array): CountSketch {
  const at = new Places(own.length);
  const { half } = at;

  function addAt(cell: number, change: 1 | -1): void {
    own[cell] = (own[cell] as number) + change;
  }

  function sumAt(cell: number): number {
    let sum = 0;
    for (const stripe of stripes) sum += stripe[cell] as number;
    return sum;
  }

  return {
    add(key, change) {
      const second = secondOf(key);
      addAt(at.even(key), change);
      addAt(at.odd(key), change);
      addAt(half + at.even(second), change);
      addAt(half + at.odd(second), change);
    },
    count(key) {
      const second = secondOf(key);
      return Math.min(
        sumAt(at.even(key)),
        sumAt(at.odd(key)),
        sumAt(half + at.even(second)),
        sumAt(half + at.odd(second)),
      );
    },
  };
}
