/** Time and chance are handed in, so that pure code can be tested without waiting and without luck. */

/** Milliseconds that only ever grow; the origin is arbitrary. */
export interface Clock {
  now(): number;
}

/** A number in [0, 1). */
export type Random = () => number;

export const systemClock: Clock = { now: () => performance.now() };

export const systemRandom: Random = Math.random;
