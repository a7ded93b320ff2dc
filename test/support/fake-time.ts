import type { Timers } from '../../src/base/time.ts';

/** Time that passes when it is told to: timers fire in their order, and what is awaited is done before each. */
export function fakeTime() {
  let nowMs = 0;
  let timers: { readonly atMs: number; readonly run: () => void }[] = [];
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const timerFunctions: Timers = {
    setTimeout(run, ms) {
      const timer = { atMs: nowMs + ms, run };
      timers.push(timer);
      return timer;
    },
    clearTimeout(timer) {
      timers = timers.filter((each) => each !== timer);
    },
  };
  return {
    clock: { now: () => nowMs },
    timers: timerFunctions,
    pending: () => timers.length,
    async pass(ms: number): Promise<void> {
      const endMs = nowMs + ms;
      for (;;) {
        await settled();
        const [next] = timers.toSorted((a, b) => a.atMs - b.atMs);
        if (next === undefined || next.atMs > endMs) break;
        nowMs = next.atMs;
        timerFunctions.clearTimeout(next);
        next.run();
      }
      nowMs = endMs;
    },
  };
}
