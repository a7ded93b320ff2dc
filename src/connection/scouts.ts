import type { TakeoverStake } from '../session/index.ts';
import type { Target } from './wire.ts';

/** A session with something at stake leaves the first question for so long to those with less. */
const OTHERS_FIRST_MS: Readonly<Record<TakeoverStake, number>> = { nothing: 0, messages: 500, will: 1_000 };

/** A scout asks again when what it had locked is free. One that has not for so many times as long has left. */
const SCOUT_LOCKS = 3;

const NEVER = Number.NEGATIVE_INFINITY;

interface Asked {
  lastAtMs: number;
  answeredAtMs: number;
}

/** Who wants to ask: since when its node is silent and it searches, on the host's clock, and how long a question may lock a session. */
interface Wish {
  readonly silentSinceMs: number;
  readonly searchesSinceMs: number;
  readonly lockedMs: number;
  readonly stake: TakeoverStake;
}

/** `first`: as the scout, when a newcomer was answered at once. */
export type Permission = 'no' | 'first' | 'yes';

/**
 * What sessions of a node that hangs learn from each other. A cluster that shares sessions completes a takeover only when that
 * node goes on, when nobody needs it any more, and it may cost messages and the Will. Nodes that share nothing, or share by a
 * store, answer at once. So one session is asked for first, the scout, and the others when it was answered at once.
 */
export class Scouts {
  /** By the slot of the node that hangs. */
  private readonly asked = new Map<number, Asked>();

  /** A session of the node is asked for elsewhere. */
  sent({ slot }: Target, nowMs: number): void {
    this.asked.set(slot, { lastAtMs: nowMs, answeredAtMs: this.asked.get(slot)?.answeredAtMs ?? NEVER });
  }

  /** Another node had it at once, while this one hung. */
  answered({ slot }: Target, nowMs: number): void {
    this.asked.set(slot, { lastAtMs: nowMs, answeredAtMs: nowMs });
  }

  /** May a session be asked for? */
  mayAsk(
    origin: Target,
    { silentSinceMs, searchesSinceMs, lockedMs, stake }: Wish,
    nowMs: number,
  ): Permission {
    const { lastAtMs, answeredAtMs } = this.asked.get(origin.slot) ?? {
      lastAtMs: NEVER,
      answeredAtMs: NEVER,
    };
    if (answeredAtMs >= silentSinceMs) return 'yes';
    if (nowMs < lastAtMs + SCOUT_LOCKS * lockedMs || nowMs < searchesSinceMs + OTHERS_FIRST_MS[stake]) {
      return 'no';
    }
    this.sent(origin, nowMs);
    return 'first';
  }
}
