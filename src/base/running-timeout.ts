/** A timer for somebody else's answer. */

const STEP_MS = 250;

/**
 * Runs after so much time in which this process ran itself: while it is stopped (SIGSTOP, a frozen container, a machine that sleeps), no
 * answer can reach it, and that is nobody's fault.
 * @returns call it when the answer has come
 */
export function runningTimeout(run: () => void, ms: number): () => void {
  let timer: NodeJS.Timeout;
  const step = (leftMs: number): void => {
    if (leftMs <= 0) run();
    else timer = setTimeout(() => step(leftMs - STEP_MS), Math.min(leftMs, STEP_MS));
  };
  step(ms);
  return () => clearTimeout(timer);
}
