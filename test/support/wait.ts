import { setTimeout as sleep } from 'node:timers/promises';

/** Looks often at first, and then less: a look may cost a request, and there are long waits. */
const FIRST_LOOK_MS = 5;
const SELDOM_MS = 40;

/**
 * Polls until the condition gives something true, and returns that.
 * @param what completes the sentence "waited for …" of the error
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  deadlineMs = 20_000,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const end = performance.now() + deadlineMs;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 1.2, SELDOM_MS)) {
    const value = await condition();
    if (value) return value as Exclude<T, undefined | null | false | 0 | ''>;
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for ${what}`);
    await sleep(pauseMs);
  }
}
