import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Looks often at first, and then less: a look may cost a request, and there are long waits. */
const FIRST_LOOK_MS = 5;
const SELDOM_MS = 40;
/** So many times what a look took is not looked: one that starts a program would keep a core busy otherwise. */
const REST = 2;

/** Where a machine is busier than this, a test that fails is rather seen early. */
const MAX_SLOWNESS = 8;

/** Set for all test processes by `vitest.config.ts`; a person may set it too. */
export const SLOWNESS = 'BREAKWATER_TEST_SLOWNESS';

/** How many times longer this process takes for 100 ms of work than a core that it has for itself. */
export function measureSlowness(): number {
  const start = performance.now();
  const before = process.cpuUsage();
  const spentMs = (): number => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  while (spentMs() < 100);
  return (performance.now() - start) / spentMs();
}

/** By what all bounds of waits are multiplied: 1 on a quiet machine, more where others want its cores, 8 at most. */
export function slowness(): number {
  const [lastMinute = 0] = loadavg();
  const measured = Number(process.env[SLOWNESS] ?? 1);
  return Math.min(MAX_SLOWNESS, Math.max(1, measured, lastMinute / availableParallelism()));
}

/** The bound of a wait that takes at most `ms` on a quiet machine, in ms on this one at this moment. */
export function patience(ms: number): number {
  return Math.round(ms * slowness());
}

/**
 * Polls until the condition gives something true, and returns that.
 * @param what completes the sentence "waited for …" of the error
 * @param quietMs the longest that it may take on a quiet machine
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  quietMs = 20_000,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const start = performance.now();
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 1.2, SELDOM_MS)) {
    const began = performance.now();
    const value = await condition();
    if (value) return value as Exclude<T, undefined | null | false | 0 | ''>;
    const waitedMs = performance.now() - start;
    // A machine may become busy while a test waits, so the bound is asked for when it matters.
    if (waitedMs > quietMs && waitedMs > patience(quietMs))
      throw new Error(`waited ${Math.round(waitedMs)} ms for ${what}`);
    await sleep(Math.max(pauseMs, REST * (performance.now() - began)));
  }
}
