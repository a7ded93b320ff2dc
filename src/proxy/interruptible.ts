/**
 * Waits for a step of the start, but no longer than until the start is to end; the step itself goes on.
 * @throws the signal's reason
 */
export function interruptible<T>(step: Promise<T>, stopping: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(stopping.reason);
    if (stopping.aborted) stop();
    stopping.addEventListener('abort', stop, { once: true });
    step.then(resolve, reject).finally(() => stopping.removeEventListener('abort', stop));
  });
}
