/**
 * A token bucket, kept as the one moment at which it would be full again (the "virtual scheduling" form of GCRA,
 * ITU-T I.371 annex A): no timer refills it, and it costs one number.
 */
export class TokenBucket {
  private readonly msPerToken: number;
  private readonly burstMs: number;
  private fullAtMs = 0;

  /** @param burst tokens of a full bucket; more than that at once cannot be taken by `take` */
  constructor(tokensPerSecond: number, burst: number) {
    this.msPerToken = 1000 / tokensPerSecond;
    this.burstMs = burst * this.msPerToken;
  }

  /** Takes so many tokens when they are there. Who is refused takes none. */
  take(tokens: number, nowMs: number): boolean {
    const fullAtMs = Math.max(this.fullAtMs, nowMs) + tokens * this.msPerToken;
    if (fullAtMs - nowMs > this.burstMs + ROUNDING_MS) return false;
    this.fullAtMs = fullAtMs;
    return true;
  }

  /**
   * Takes them in any case and says for how many milliseconds to stop taking: the pace of one device's bytes or
   * messages, whose sender is then no longer read (back-pressure; nothing is dropped). For two paces the longer wait
   * holds.
   */
  takeAndDelay(tokens: number, nowMs: number): number {
    this.fullAtMs = Math.max(this.fullAtMs, nowMs) + tokens * this.msPerToken;
    const delayMs = this.fullAtMs - nowMs - this.burstMs;
    return delayMs > ROUNDING_MS ? delayMs : 0;
  }

  /** How long until it is full, in ms: its whole state. */
  fullInMs(nowMs: number): number {
    return Math.max(0, this.fullAtMs - nowMs);
  }

  /** Becomes what gave this `fullInMs`. */
  fillIn(ms: number, nowMs: number): void {
    this.fullAtMs = nowMs + ms;
  }
}

/** Sums of fractions of milliseconds are not exact; a thousandth more or less is no limit exceeded. */
export const ROUNDING_MS = 0.001;
