/**
 * Coarse timers for many keys, in typed arrays: a key is a small number and has at most one timer.
 *
 * A hashed wheel: a bucket is a list of keys linked through `next` and `previous`; a timer that lies more than one
 * turn ahead stays in its bucket until its tick has come. Setting and clearing cost the same whatever is pending.
 * A timer never fires early, and up to one tick late. The source of time is handed in, in milliseconds.
 */

const NONE = -1;
const NEXT = 0;
const PREVIOUS = 1;
const LIST = 2;
const DUE = 3;
const FIELDS = 4;

export class TimerWheel {
  private readonly startMs: number;
  private readonly tickMs: number;
  private readonly buckets: number;
  /** The first key of each bucket. The bucket after the last holds what `advance` is about to fire. */
  private readonly heads: Int32Array;
  /**
   * What is known of one key lies together: its neighbours and its list, each plus one, so that the zeroes of fresh
   * (untouched, unpaid-for) memory mean "none", and the tick that it is due at.
   */
  private readonly timers: Int32Array;
  private currentTick = 0;
  private count = 0;

  /** Keys are 0 to `keys` - 1. One turn of the wheel is `tickMs` times `buckets`. */
  constructor(keys: number, startMs: number, tickMs = 64, buckets = 512) {
    this.startMs = startMs;
    this.tickMs = tickMs;
    this.buckets = buckets;
    this.heads = new Int32Array(buckets + 1).fill(NONE);
    this.timers = new Int32Array(FIELDS * keys);
  }

  get size(): number {
    return this.count;
  }

  /** Replaces the key's timer. `ms` of 0 or less fires at the next tick. */
  set(key: number, ms: number, nowMs: number): void {
    const { timers } = this;
    // Rounded up and never the tick that is already being fired, so that no timer is early.
    const due = Math.max(this.currentTick + 1, Math.ceil((nowMs - this.startMs + ms) / this.tickMs));
    const at = FIELDS * key;
    if (timers[at + LIST] !== 0 && timers[at + DUE] === due) return;
    this.clear(key);
    timers[at + DUE] = due;
    this.link(key, due % this.buckets);
    this.count++;
  }

  /** Milliseconds until the key's timer is due, at least 1; 0: it has none. */
  leftMs(key: number, nowMs: number): number {
    const at = FIELDS * key;
    if (this.timers[at + LIST] === 0) return 0;
    return Math.max(1, this.startMs + (this.timers[at + DUE] as number) * this.tickMs - nowMs);
  }

  clear(key: number): void {
    if (this.timers[FIELDS * key + LIST] === 0) return;
    this.unlink(key);
    this.count--;
  }

  /** Fires what is due. `fire` may set and clear any key, its own too. */
  advance(nowMs: number, fire: (key: number) => void): void {
    const { heads, buckets } = this;
    const tick = Math.floor((nowMs - this.startMs) / this.tickMs);
    if (tick <= this.currentTick) return;
    const from = Math.max(this.currentTick + 1, tick - buckets + 1);
    this.currentTick = tick;
    if (this.count === 0) return;
    for (let at = from; at <= tick; at++) this.collect(at % buckets, tick);
    for (let key = heads[buckets] as number; key !== NONE; key = heads[buckets] as number) {
      this.clear(key);
      fire(key);
    }
  }

  /** Milliseconds to sleep at most before `advance` has something to do; -1 for ever. */
  waitMs(nowMs: number): number {
    if (this.count === 0) return -1;
    return Math.max(1, Math.ceil(this.startMs + (this.currentTick + 1) * this.tickMs - nowMs));
  }

  /** Moves what is due out of a bucket into the one that is about to be fired. */
  private collect(list: number, tick: number): void {
    const { timers } = this;
    for (let key = this.heads[list] as number; key !== NONE; ) {
      const after = (timers[FIELDS * key + NEXT] as number) - 1;
      if ((timers[FIELDS * key + DUE] as number) <= tick) {
        this.unlink(key);
        this.link(key, this.buckets);
      }
      key = after;
    }
  }

  private link(key: number, list: number): void {
    const { timers, heads } = this;
    const head = heads[list] as number;
    const at = FIELDS * key;
    timers[at + NEXT] = head + 1;
    timers[at + PREVIOUS] = 0;
    if (head !== NONE) timers[FIELDS * head + PREVIOUS] = key + 1;
    heads[list] = key;
    timers[at + LIST] = list + 1;
  }

  private unlink(key: number): void {
    const { timers } = this;
    const at = FIELDS * key;
    const list = (timers[at + LIST] as number) - 1;
    const after = (timers[at + NEXT] as number) - 1;
    const before = (timers[at + PREVIOUS] as number) - 1;
    if (before === NONE) this.heads[list] = after;
    else timers[FIELDS * before + NEXT] = after + 1;
    if (after !== NONE) timers[FIELDS * after + PREVIOUS] = before + 1;
    timers[at + LIST] = 0;
  }
}
