/**
 * Coarse timers for many keys, in typed arrays: a key is a small number and has at most one timer.
 *
 * A hashed wheel: a bucket is a list of keys linked through `next` and `previous`; a timer that lies more than one
 * turn ahead stays in its bucket until its tick has come. Setting and clearing cost the same whatever is pending.
 * A timer never fires early, and up to one tick late. The source of time is handed in, in milliseconds.
 */
export interface TimerWheel {
  /** Replaces the key's timer. `ms` of 0 or less fires at the next tick. */
  set(key: number, ms: number, nowMs: number): void;
  clear(key: number): void;
  /** Fires what is due. `fire` may set and clear any key, its own too. */
  advance(nowMs: number, fire: (key: number) => void): void;
  /** Milliseconds to sleep at most before `advance` has something to do; -1 for ever. */
  waitMs(nowMs: number): number;
  readonly size: number;
}

const NONE = -1;

/** Keys are 0 to `keys` - 1. One turn of the wheel is `tickMs` times `buckets`. */
export function createTimerWheel(keys: number, startMs: number, tickMs = 64, buckets = 512): TimerWheel {
  const heads = new Int32Array(buckets + 1).fill(NONE);
  const dueList = buckets; // the bucket after the last holds what `advance` is about to fire
  // Keys are stored plus one, so that the zeroes of fresh (untouched, unpaid-for) memory mean "none".
  const next = new Int32Array(keys);
  const previous = new Int32Array(keys);
  const listOf = new Int32Array(keys);
  const dueTick = new Float64Array(keys);
  let currentTick = 0;
  let size = 0;

  const tickAt = (ms: number): number => Math.floor((ms - startMs) / tickMs);

  function link(key: number, list: number): void {
    const head = heads[list] as number;
    next[key] = head + 1;
    previous[key] = 0;
    if (head !== NONE) previous[head] = key + 1;
    heads[list] = key;
    listOf[key] = list + 1;
  }

  function unlink(key: number): void {
    const list = (listOf[key] as number) - 1;
    const after = (next[key] as number) - 1;
    const before = (previous[key] as number) - 1;
    if (before === NONE) heads[list] = after;
    else next[before] = after + 1;
    if (after !== NONE) previous[after] = before + 1;
    listOf[key] = 0;
  }

  function clear(key: number): void {
    if (listOf[key] === 0) return;
    unlink(key);
    size--;
  }

  function set(key: number, ms: number, nowMs: number): void {
    // Rounded up and never the tick that is already being fired, so that no timer is early.
    const due = Math.max(currentTick + 1, Math.ceil((nowMs - startMs + ms) / tickMs));
    if (listOf[key] !== 0 && dueTick[key] === due) return;
    clear(key);
    dueTick[key] = due;
    link(key, due % buckets);
    size++;
  }

  function collect(list: number, tick: number): void {
    for (let key = heads[list] as number; key !== NONE; ) {
      const after = (next[key] as number) - 1;
      if ((dueTick[key] as number) <= tick) {
        unlink(key);
        link(key, dueList);
      }
      key = after;
    }
  }

  function advance(nowMs: number, fire: (key: number) => void): void {
    const tick = tickAt(nowMs);
    if (tick <= currentTick) return;
    const from = Math.max(currentTick + 1, tick - buckets + 1);
    currentTick = tick;
    if (size === 0) return;
    for (let at = from; at <= tick; at++) collect(at % buckets, tick);
    for (let key = heads[dueList] as number; key !== NONE; key = heads[dueList] as number) {
      clear(key);
      fire(key);
    }
  }

  function waitMs(nowMs: number): number {
    if (size === 0) return -1;
    return Math.max(1, Math.ceil(startMs + (currentTick + 1) * tickMs - nowMs));
  }

  return {
    set,
    clear,
    advance,
    waitMs,
    get size() {
      return size;
    },
  };
}
