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
const NEXT = 0;
const PREVIOUS = 1;
const LIST = 2;
const DUE = 3;
const FIELDS = 4;

/** Keys are 0 to `keys` - 1. One turn of the wheel is `tickMs` times `buckets`. */
export function createTimerWheel(keys: number, startMs: number, tickMs = 64, buckets = 512): TimerWheel {
  const heads = new Int32Array(buckets + 1).fill(NONE);
  const dueList = buckets; // the bucket after the last holds what `advance` is about to fire
  // What is known of one key lies together: its neighbours and its list, each plus one, so that the zeroes of fresh
  // (untouched, unpaid-for) memory mean "none", and the tick that it is due at.
  const timers = new Int32Array(FIELDS * keys);
  let currentTick = 0;
  let size = 0;

  const tickAt = (ms: number): number => Math.floor((ms - startMs) / tickMs);

  function link(key: number, list: number): void {
    const head = heads[list] as number;
    const at = FIELDS * key;
    timers[at + NEXT] = head + 1;
    timers[at + PREVIOUS] = 0;
    if (head !== NONE) timers[FIELDS * head + PREVIOUS] = key + 1;
    heads[list] = key;
    timers[at + LIST] = list + 1;
  }

  function unlink(key: number): void {
    const at = FIELDS * key;
    const list = (timers[at + LIST] as number) - 1;
    const after = (timers[at + NEXT] as number) - 1;
    const before = (timers[at + PREVIOUS] as number) - 1;
    if (before === NONE) heads[list] = after;
    else timers[FIELDS * before + NEXT] = after + 1;
    if (after !== NONE) timers[FIELDS * after + PREVIOUS] = before + 1;
    timers[at + LIST] = 0;
  }

  function clear(key: number): void {
    if (timers[FIELDS * key + LIST] === 0) return;
    unlink(key);
    size--;
  }

  function set(key: number, ms: number, nowMs: number): void {
    // Rounded up and never the tick that is already being fired, so that no timer is early.
    const due = Math.max(currentTick + 1, Math.ceil((nowMs - startMs + ms) / tickMs));
    const at = FIELDS * key;
    if (timers[at + LIST] !== 0 && timers[at + DUE] === due) return;
    clear(key);
    timers[at + DUE] = due;
    link(key, due % buckets);
    size++;
  }

  function collect(list: number, tick: number): void {
    for (let key = heads[list] as number; key !== NONE; ) {
      const after = (timers[FIELDS * key + NEXT] as number) - 1;
      if ((timers[FIELDS * key + DUE] as number) <= tick) {
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
