/** Time and chance are handed in, so that pure code can be tested without waiting and without luck. */

/** Milliseconds that only ever grow; the origin is arbitrary. */
export interface Clock {
  now(): number;
}

/** A number in [0, 1). */
export type Random = () => number;

export const systemClock: Clock = { now: () => performance.now() };

/** The same for all threads of the process, whose `performance.now` each begin at their own start. */
export const sharedClock: Clock = {
  now() {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1000 + nanoseconds / 1e6;
  },
};

export const systemRandom: Random = Math.random;
