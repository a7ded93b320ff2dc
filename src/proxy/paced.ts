import type { Clock } from '../base/time.ts';

/** An answer is given again for so many times as long as it took to make. */
const REST = 9;

/**
 * Makes an answer at most a tenth of the time, however often it is asked for. Who asks meanwhile is given the last one, or the one
 * that is being made.
 */
export function paced<T>(make: () => Promise<T>, clock: Clock): () => Promise<T> {
  let answer: Promise<T> | undefined;
  let restsUntilMs = 0;
  return () => {
    const begunMs = clock.now();
    if (answer !== undefined && begunMs < restsUntilMs) return answer;
    restsUntilMs = Number.POSITIVE_INFINITY;
    const made = make();
    answer = made;
    const rest = (): void => {
      const endedMs = clock.now();
      restsUntilMs = endedMs + REST * (endedMs - begunMs);
    };
    made.then(rest, () => {
      restsUntilMs = 0;
    });
    return made;
  };
}
