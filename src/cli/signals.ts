/** What is stopped by a signal: gracefully by the first, at once by the second. */
export interface Stoppable {
  /** Settles when everything is closed, whoever asked for it; rejects when it broke. */
  readonly closed: Promise<void>;
  stop(): Promise<void>;
  abort(): void;
}

const signals = ['SIGTERM', 'SIGINT'] as const;

/** Waits for the end of a running server. Resolves to the exit code: 0 stopped by a signal, 1 ended by itself. */
export async function untilStopped(server: Stoppable): Promise<number> {
  let stopping = false;
  let onSignal: () => void = () => {};
  const stopped = new Promise<void>((resolve, reject) => {
    onSignal = () => {
      if (stopping) {
        server.abort();
        process.exit(1);
      }
      stopping = true;
      server.stop().then(resolve, reject);
    };
  });
  for (const signal of signals) process.on(signal, onSignal);
  try {
    await Promise.race([stopped, server.closed]);
    if (stopping) await stopped;
    return stopping ? 0 : 1;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}
