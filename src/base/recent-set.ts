/**
 * Numbers that were added lately: each is known for at least `ms`, and for at most twice that. At most twice `max` are kept;
 * where more are added, the oldest are forgotten early.
 */
export class RecentSet {
  private readonly ms: number;
  private readonly max: number;
  private current = new Set<number>();
  private previous = new Set<number>();
  private beganAtMs = Number.NEGATIVE_INFINITY;

  constructor(ms: number, max: number) {
    this.ms = ms;
    this.max = max;
  }

  add(value: number, nowMs: number): void {
    this.turn(nowMs);
    this.current.add(value);
  }

  has(value: number, nowMs: number): boolean {
    this.turn(nowMs);
    return this.current.has(value) || this.previous.has(value);
  }

  private turn(nowMs: number): void {
    const ageMs = nowMs - this.beganAtMs;
    if (ageMs < this.ms && this.current.size < this.max) return;
    this.previous = ageMs < 2 * this.ms ? this.current : new Set();
    this.current = new Set();
    this.beganAtMs = nowMs;
  }
}
