/**
 * The task, run once at a time. Who asks while it runs shares the one run that follows, which sees what they saw: nobody
 * waits for more than two.
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
