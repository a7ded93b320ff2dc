/** What a person asked for with SIGTERM or SIGINT (Ctrl-C). */
export interface Leaving {
  /** Aborts at the first: leave in order. */
  readonly asked: AbortSignal;
  /** Aborts at the second: do not wait any longer. A third ends the process. */
  readonly hurry: AbortSignal;
}

const signals = ['SIGTERM', 'SIGINT'] as const;

/**
 * For nodes, which must always take themselves out of the membership store: unlike `untilStopped`, a second signal
 * ends only the waiting.
 */
export function watchSignals(): Leaving {
  const asked = new AbortController();
  const hurry = new AbortController();
  const onSignal = () => {
    if (!asked.signal.aborted) return asked.abort();
    hurry.abort();
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return { asked: asked.signal, hurry: hurry.signal };
}

/** Resolves when the signal has aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
