/** A move counts as under way for at most so long: a device may leave in the middle, and its end is not reported. */
const UNDER_WAY_MS = 30_000;
/** The pace that is shown is that of the last seconds. */
const PACE_WINDOW_MS = 5_000;
/** What may go at once after a pause, as a time at the full rate. */
const BURST_MS = 100;

/** Moves that have ended. */
export interface MoveCounts {
  readonly moved: number;
  readonly failed: number;
}

/** What a move took that a node has accepted, or that has failed. */
export interface MoveTimes {
  /** From the order on. */
  readonly durationMs: number;
  /** What the node needed for its answer to CONNECT. */
  readonly connackMs: number;
}

export const NOTHING_MOVED: MoveCounts = { moved: 0, failed: 0 };

interface Mark {
  readonly atMs: number;
  count: number;
}

/** Counts moves, and says how many more may begin: at most `rate` a second, and never more than that under way. */
export class MoveMeter {
  moved: number;
  failed: number;
  private rate: number;
  private tokens: number;
  private filledAtMs: number;
  private begun: Mark[] = [];
  /** Moves whose end was reported before their begin, because each worker reports for itself. */
  private early = 0;
  private history: Mark[];

  /**
   * @param rate in sessions a second
   * @param earlier what an older process has counted
   */
  constructor(rate: number, nowMs: number, { moved, failed }: MoveCounts = NOTHING_MOVED) {
    this.rate = rate;
    this.moved = moved;
    this.failed = failed;
    this.tokens = this.burst;
    this.filledAtMs = nowMs;
    this.history = [{ atMs: nowMs, count: moved }];
  }

  private get burst(): number {
    return Math.max(1, (this.rate * BURST_MS) / 1000);
  }

  get sessionsPerSecond(): number {
    return this.rate;
  }

  set sessionsPerSecond(rate: number) {
    this.rate = rate;
    this.tokens = Math.min(this.tokens, this.burst);
  }

  get underWay(): number {
    return this.begun.reduce((sum, { count }) => sum + count, 0);
  }

  /** Of these, the ones that began before then. */
  underWaySince(beforeMs: number): number {
    return this.begun.reduce((sum, { atMs, count }) => (atMs < beforeMs ? sum + count : sum), 0);
  }

  /** How many may begin now. */
  room(nowMs: number): number {
    this.tokens = Math.min(this.burst, this.tokens + ((nowMs - this.filledAtMs) * this.rate) / 1000);
    this.filledAtMs = nowMs;
    this.begun = this.begun.filter(({ atMs, count }) => count > 0 && nowMs - atMs < UNDER_WAY_MS);
    return Math.floor(Math.min(this.tokens, Math.max(1, this.rate) - this.underWay));
  }

  began(count: number, nowMs: number): void {
    this.tokens -= count;
    const over = Math.min(this.early, count);
    this.early -= over;
    if (count > over) this.begun.push({ atMs: nowMs, count: count - over });
  }

  /** @param begunAtMs of the last move that began before then; absent: of the oldest */
  ended(ok: boolean, begunAtMs = Number.NEGATIVE_INFINITY): void {
    if (ok) this.moved++;
    else this.failed++;
    const open = this.begun.filter(({ count }) => count > 0);
    const mark = open.findLast(({ atMs }) => atMs <= begunAtMs) ?? open[0];
    if (mark !== undefined) mark.count--;
    else this.early++;
  }

  /** Moves a second of late; call it about once a second. */
  pace(nowMs: number): number {
    this.history.push({ atMs: nowMs, count: this.moved });
    while ((this.history[1]?.atMs ?? nowMs) <= nowMs - PACE_WINDOW_MS) this.history.shift();
    const [first] = this.history;
    if (first === undefined || first.atMs === nowMs) return 0;
    return ((this.moved - first.count) * 1000) / (nowMs - first.atMs);
  }
}
