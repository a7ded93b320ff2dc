/** One run of a task at a time. */

export interface SingleFlight<T> {
  /** Callers that come while the task runs share the one run that follows, which sees what they saw: nobody waits for more than two runs. */
  run(): Promise<T>;
  /** Resolves when the task does not run, and nobody waits for it. */
  idle(): Promise<void>;
}

/** Runs the task once at a time. */
export function singleFlight<T>(task: () => Promise<T>): SingleFlight<T> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return {
    run() {
      if (next !== undefined) return next;
      const run = last.then(() => {
        next = undefined;
        return task();
      });
      next = run;
      last = run.catch(() => {});
      return run;
    },
    async idle() {
      for (let seen: unknown; seen !== last; ) {
        seen = last;
        await seen;
      }
    },
  };
}
