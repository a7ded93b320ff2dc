import type { Target } from './wire.ts';
import type { MoveCause, Reattachment } from './world.ts';

/** The first wait after every candidate has failed; doubled each time, with jitter. */
const BACKOFF_MS = 250;
const BACKOFF_MAX_MS = 2_000;
/** So many links lost in so short a time, each by another node, and it is the session that nodes do not stand. */
const LOSSES = 5;
const LOSSES_WITHIN_MS = 10_000;

/** One re-attach under way: where from, why, and how much patience is left. */
export class Move {
  readonly cause: MoveCause;
  /** The node that is left. */
  readonly origin: Target;
  /** The only node that is worth leaving the present one for, when a person named one. */
  private readonly to: string | undefined;
  private readonly startedAtMs: number;
  private readonly deadlineMs: number;
  private rounds = 0;

  constructor(cause: MoveCause, origin: Target, to: string | undefined, nowMs: number, patienceMs: number) {
    this.cause = cause;
    this.origin = origin;
    this.to = to;
    this.startedAtMs = nowMs;
    this.deadlineMs = nowMs + patienceMs;
  }

  get from(): string {
    return this.origin.nodeId;
  }

  /** Is this node worth leaving one that still serves? */
  wants({ nodeId }: Target): boolean {
    return nodeId !== this.from && (this.to === undefined || nodeId === this.to);
  }

  /** How long to wait before all candidates are tried anew, in ms; undefined when it is too late for that. */
  backoff(nowMs: number, random: number): number | undefined {
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.rounds++) * (0.5 + random / 2);
    return nowMs + wait < this.deadlineMs ? wait : undefined;
  }

  ended(to: Target | undefined, sessionPresent: boolean, nowMs: number): Reattachment {
    const { cause, from, startedAtMs } = this;
    return { cause, from, to: to?.nodeId, durationMs: nowMs - startedAtMs, atMs: nowMs, sessionPresent };
  }
}

/** Does node after node take this session and drop it at once? What one cannot stand in it, the next gets again. */
export function isUnwelcome(history: readonly Reattachment[], nowMs: number): boolean {
  const losses = history.filter(
    ({ cause, to, atMs }) => cause === 'link-lost' && to !== undefined && nowMs - atMs < LOSSES_WITHIN_MS,
  );
  return losses.length >= LOSSES;
}
