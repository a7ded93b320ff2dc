import { EventEmitter } from 'node:events';

/** What a person asked for with SIGTERM or SIGINT (Ctrl-C). */
export interface Leaving {
  /** Aborts at the first: leave in order. */
  readonly asked: AbortSignal;
  /** Aborts at the second: do not wait any longer. A third ends the process. */
  readonly atOnce: AbortSignal;
}

/** A signal that asks for something else than the end. */
interface Wishes {
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
/** What other processes have passed on. */
const passing = new EventEmitter<{ end: [] }>();

let leaving: Leaving | undefined;
let hangups: Wishes | undefined;
let upgrades: Wishes | undefined;

/** Signals belong to the process: each caller also gets those that came since the first call. */
export function watchSignals(): Leaving {
  leaving ??= watchEndings();
  return leaving;
}

/** The same for SIGHUP, which would otherwise end the process: what the configuration says is to be read again. */
export function watchHangups(): Wishes {
  hangups ??= watchWish('SIGHUP');
  return hangups;
}

/** The same for SIGUSR2: the program is to be started anew. */
export function watchUpgrades(): Wishes {
  upgrades ??= watchWish('SIGUSR2');
  return upgrades;
}

/**
 * A signal of the process that this one was started by: as if it had come here. Whoever sends one to a whole group of processes
 * sends it to both, and that counts as one.
 */
export function passedOn(signal: NodeJS.Signals): void {
  if (endings.some((ending) => ending === signal)) passing.emit('end');
  else process.emit(signal, signal);
}

function watchEndings(): Leaving {
  const asked = new AbortController();
  const atOnce = new AbortController();
  /** Asks once for the end, and at the second time for that at once. */
  const asker = (stop: () => void) => {
    let count = 0;
    return () => {
      if (++count === 1) return asked.abort();
      stop();
      atOnce.abort();
    };
  };
  const onSignal = asker(() => {
    for (const signal of endings) process.off(signal, onSignal);
  });
  for (const signal of endings) process.on(signal, onSignal);
  passing.on(
    'end',
    asker(() => {}),
  );
  return { asked: asked.signal, atOnce: atOnce.signal };
}

function watchWish(signal: NodeJS.Signals): Wishes {
  let missed = false;
  let onSignal = () => {
    missed = true;
  };
  process.on(signal, () => onSignal());
  return {
    heed(run) {
      onSignal = run;
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
