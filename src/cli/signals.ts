/** What a person asked for with SIGTERM or SIGINT (Ctrl-C). */
export interface Leaving {
  /** Aborts at the first: leave in order. */
  readonly asked: AbortSignal;
  /** Aborts at the second: do not wait any longer. A third ends the process. */
  readonly atOnce: AbortSignal;
}

/** SIGHUP: what the configuration says is to be read again. */
interface Hangups {
  /** Has this run at each from now on, and now if there was one already. */
  heed(run: () => void): void;
}

/** What is stopped by a signal: gracefully by the first, at once by the second. */
interface Stoppable {
  /** Resolves when everything is closed, whatever asked for it; rejects when that failed. */
  readonly closed: Promise<void>;
  stop(): Promise<void>;
  abort(): void;
}

const endings = ['SIGTERM', 'SIGINT'] as const;

let leaving: Leaving | undefined;
let hangups: Hangups | undefined;

/** Signals belong to the process: each caller also gets those that came since the first call. */
export function watchSignals(): Leaving {
  leaving ??= watchEndings();
  return leaving;
}

/** The same for SIGHUP, which would otherwise end the process. */
export function watchHangups(): Hangups {
  hangups ??= watchHangup();
  return hangups;
}

function watchEndings(): Leaving {
  const asked = new AbortController();
  const atOnce = new AbortController();
  const onSignal = () => {
    if (!asked.signal.aborted) return asked.abort();
    for (const signal of endings) process.off(signal, onSignal);
    atOnce.abort();
  };
  for (const signal of endings) process.on(signal, onSignal);
  return { asked: asked.signal, atOnce: atOnce.signal };
}

function watchHangup(): Hangups {
  let missed = false;
  let onHangup = () => {
    missed = true;
  };
  process.on('SIGHUP', () => onHangup());
  return {
    heed(run) {
      onHangup = run;
      if (missed) run();
    },
  };
}

/** Resolves when the signal has aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Waits for the end of a running server. Resolves to the exit code: 0 stopped by a signal, 1 ended by itself. */
export async function untilStopped(server: Stoppable): Promise<number> {
  const { asked, atOnce } = watchSignals();
  const endAtOnce = () => {
    server.abort();
    process.exit(1);
  };
  atOnce.addEventListener('abort', endAtOnce, { once: true });
  if (atOnce.aborted) endAtOnce();
  await Promise.race([aborted(asked), server.closed]);
  if (!asked.aborted) return 1;
  await server.stop();
  return 0;
}
