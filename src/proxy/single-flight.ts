/**
 * Runs the task once at a time. Callers that come while it runs share the one run that follows, which sees what
 * they saw: nobody waits for more than two runs.
 */
export function singleFlight<T>(task: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return () => {
    if (next !== undefined) return next;
    const run = last.then(() => {
      next = undefined;
      return task();
    });
    next = run;
    last = run.catch(() => {});
    return run;
  };
}
