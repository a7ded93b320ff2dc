/**
 * How many planned moves may be under way at one time: more while they are answered well, half as many when not (AIMD; Chiu and
 * Jain, 1989). A node that is busy takes longer for each session that it is asked for, and its other devices wait too.
 * Pure: times are handed in, in milliseconds.
 */
export class MovePace {
  private size = 0;
  private most = 0;
  private quickestMs = Number.POSITIVE_INFINITY;
  /** What was asked before then says nothing of the present size. */
  private changedAtMs = Number.NEGATIVE_INFINITY;

  /** @param rate sessions a second, as somebody asked for it */
  constructor(rate: number) {
    this.rate = rate;
  }

  /** From now on. It begins with as many as keep the rate where each takes a tenth of a second. */
  set rate(rate: number) {
    this.most = Math.max(1, rate);
    this.size = Math.min(this.most, Math.max(LEAST, this.size, rate * START_S));
  }

  /** So many may be under way, at least one. */
  get room(): number {
    return Math.floor(this.size);
  }

  /** A node has accepted a session so many ms after it was asked for it. */
  answered(tookMs: number, nowMs: number): void {
    this.quickestMs = Math.min(this.quickestMs, tookMs);
    if (tookMs > Math.max(SLOW_MS, this.quickestMs * SLOW_TIMES)) this.shrink(nowMs - tookMs, nowMs);
    else this.size = Math.min(this.most, this.size + 1 / this.size);
  }

  /** A move has failed, or is not over after a long time. */
  failed(nowMs: number): void {
    this.shrink(nowMs - PAUSE_MS, nowMs);
  }

  /** Once for all that was asked at one size. */
  private shrink(askedAtMs: number, nowMs: number): void {
    if (askedAtMs < this.changedAtMs) return;
    this.size = Math.min(this.most, Math.max(LEAST, this.size / 2));
    this.changedAtMs = nowMs;
  }
}

/** No node is overloaded by so few, and a drain comes to its end. */
const LEAST = 4;
const START_S = 0.1;
/** Slow is what takes longer than both: this, and so many times the quickest answer. */
const SLOW_MS = 250;
const SLOW_TIMES = 4;
/** When a move that failed was asked for is not known: at least so long nothing more is concluded. */
const PAUSE_MS = 1_000;
