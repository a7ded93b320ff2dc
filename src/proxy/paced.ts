import type { Clock } from '../base/time.ts';
import { TokenBucket } from '../policy/admission/token-bucket.ts';

/** Of each second an answer may take so many milliseconds, */
const MS_PER_SECOND = 100;
/** and so many at once where it has not been asked for: whoever asks now and then is told what is so now. */
const BURST_MS = 500;

/**
 * Makes an answer at most a tenth of the time, however often it is asked for. Who asks when that time is used up is given the last
 * one, or the one that is being made.
 */
export function paced<T>(make: () => Promise<T>, clock: Clock): () => Promise<T> {
  const time = new TokenBucket(MS_PER_SECOND, BURST_MS);
  let answer: Promise<T> | undefined;
  let lastMs = 0;
  return () => {
    const begunMs = clock.now();
    const isUsedUp = time.takeAndDelay(0, begunMs) > 0;
    if (answer !== undefined && isUsedUp) return answer;
    const expectedMs = lastMs; // spent at once, because many may ask before it is there
    time.takeAndDelay(expectedMs, begunMs);
    const made = make();
    answer = made;
    const ended = (): void => {
      const endedMs = clock.now();
      lastMs = endedMs - begunMs;
      time.takeAndDelay(Math.max(0, lastMs - expectedMs), endedMs);
    };
    made.then(ended, () => {
      ended();
      if (answer === made) answer = undefined;
    });
    return made;
  };
}
