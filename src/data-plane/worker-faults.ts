import { messageOf } from '../base/errors.ts';
import type { Command, Report } from '../data-plane-api/messages.ts';
import { failureOf } from './worker-answers.ts';

/** So many faults that no guard caught within `WINDOW_MS`, and the thread is no good any more. */
const MAX_UNCAUGHT = 20;
const WINDOW_MS = 10_000;

interface Faults {
  /** `where` is for people: `a connection`, `command watch`. */
  tell(where: string, error: unknown): void;
  /** Carries a command out. One that fails is reported, and answered where an answer is owed. */
  carryOut(command: Command, run: (command: Command) => unknown): void;
}

/** A fault of ours in a worker is reported to the main thread, and ends only the connection that it belongs to. */
export function createFaults(report: (message: Report) => void): Faults {
  function tell(where: string, error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined;
    report({ type: 'fault', where, message: messageOf(error), stack });
  }

  function failed(command: Command, error: unknown): void {
    tell(`command ${command.type}`, error);
    if ('request' in command && command.type !== 'recalled')
      report({ type: 'failed', request: command.request, ...failureOf(error) });
  }

  return {
    tell,
    carryOut(command, run) {
      try {
        const underWay = run(command);
        if (underWay instanceof Promise) underWay.catch((error: unknown) => failed(command, error));
      } catch (error) {
        failed(command, error);
      }
    },
  };
}

/**
 * The last guard of a worker: a fault that no other guard has caught is reported too. A worker that does little
 * besides failing is ended, because it is started again with a clean state.
 */
export function guardThread(
  faults: Pick<Faults, 'tell'>,
  now: () => number,
  end: () => void,
  thread: Pick<NodeJS.EventEmitter, 'on'> = process,
): void {
  const times: number[] = [];
  const caught = (error: unknown): void => {
    faults.tell('a thread', error);
    const nowMs = now();
    times.push(nowMs);
    if (times.length < MAX_UNCAUGHT) return;
    const first = times.shift() ?? nowMs;
    if (nowMs - first < WINDOW_MS) end();
  };
  thread.on('uncaughtException', caught);
  thread.on('unhandledRejection', caught);
}
