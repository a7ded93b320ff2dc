import { setTimeout as sleep } from 'node:timers/promises';
import { BreakwaterError } from '../base/errors.ts';

/** Waits for a data thread that is being started again. */

/** New listeners wait so long for it. */
const WAIT_MS = 3_000;
const POLL_MS = 50;

/**
 * Resolves when all of them listen.
 * @param mayCome false: no thread is started any more
 * @throws BreakwaterError THREAD_UNAVAILABLE where that takes long
 */
export async function awaitThreads(areWhole: () => boolean, mayCome: () => boolean): Promise<void> {
  for (let waitedMs = 0; !areWhole(); waitedMs += POLL_MS) {
    if (waitedMs >= WAIT_MS || !mayCome()) throw beingStarted();
    await sleep(POLL_MS);
  }
}

export function beingStarted(): BreakwaterError {
  return new BreakwaterError('THREAD_UNAVAILABLE', 'a data thread is being started again; try again');
}
