import type { MoveCause } from './world.ts';

/** The first wait after every candidate has failed; doubled each time, with jitter. */
const BACKOFF_MS = 250;
const BACKOFF_MAX_MS = 2_000;

/** One re-attach under way: where from, why, and how much patience is left. */
export class Move {
  readonly cause: MoveCause;
  readonly from: string;
  readonly startedAtMs: number;
  /** The only node that will do, when a person named one. */
  readonly to: string | undefined;
  private readonly deadlineMs: number;
  private rounds = 0;

  constructor(cause: MoveCause, from: string, to: string | undefined, nowMs: number, patienceMs: number) {
    this.cause = cause;
    this.from = from;
    this.to = to;
    this.startedAtMs = nowMs;
    this.deadlineMs = nowMs + patienceMs;
  }

  /** How long to wait before all candidates are tried anew, in ms; undefined when it is too late for that. */
  backoff(nowMs: number, random: number): number | undefined {
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.rounds++) * (0.5 + random / 2);
    return nowMs + wait < this.deadlineMs ? wait : undefined;
  }
}
