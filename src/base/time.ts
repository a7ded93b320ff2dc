/** The clock, the timers and the randomness of this process. Pure code is given them instead of reaching for them. */

// Imported, because a global of Node is a getter, which costs more than the clock.
import { performance } from 'node:perf_hooks';
import { hrtime } from 'node:process';

/** Milliseconds that only ever grow; the origin is arbitrary. */
export interface Clock {
  now(): number;
}

/** A number in [0, 1). */
export type Random = () => number;

export interface Timers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export const systemTimers: Timers = {
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer as never),
};

export const systemClock: Clock = { now: () => performance.now() };

/** How far the clock of the machine is ahead of this thread's, which began with the thread. */
const sharedOffsetMs = Number(hrtime.bigint()) / 1e6 - performance.now();

/** What this thread's clock said, by the clock that is the same for all threads of the process. */
export const sharedTime = (nowMs: number): number => nowMs + sharedOffsetMs;

/** The same for all threads of the process. */
export const sharedClock: Clock = { now: () => sharedTime(performance.now()) };

export const systemRandom: Random = Math.random;
