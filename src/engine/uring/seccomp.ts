import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../base/errors.ts';

/**
 * Finds out whether a seccomp filter ends whoever calls io_uring, as a unit of systemd has it that gives no `SystemCallErrorNumber`.
 * Such a filter cannot be asked, so a process is started that may be ended by it.
 */

const STATUS = '/proc/self/status';
/** Of `Seccomp`: a filter is set (seccomp(2)). */
const FILTERED = /^Seccomp:\s*2$/m;
/** Much longer than it takes; then nobody knows. */
const TRIAL_MS = 10_000;

/** How the process ended: by itself, by a signal, or it could not be started. */
interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: Error | undefined;
}

/** Why io_uring is not called here; undefined where nobody is ended for it. */
export function deadlyFilter(
  readStatus: () => string = () => readFileSync(STATUS, 'latin1'),
  tryOut: () => Ended = startTrial,
): string | undefined {
  let self: string;
  try {
    self = readStatus();
  } catch (error) {
    return `nobody knows whether a seccomp filter ends a process that calls io_uring: ${messageOf(error)}`;
  }
  if (!FILTERED.test(self)) return undefined;
  const { status, signal, error } = tryOut();
  if (status === 0) return undefined;
  if (signal === 'SIGSYS') return 'a seccomp filter ends a process that calls io_uring';
  return `nobody knows what the seccomp filter does to a process that calls io_uring: ${error?.message ?? `one ended with ${signal ?? status}`}`;
}

/** Without what `NODE_OPTIONS` adds to this program. */
function startTrial(): Ended {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const script = fileURLToPath(new URL('./uring-trial.js', import.meta.url));
  return spawnSync(process.execPath, [script], { env, stdio: 'ignore', timeout: TRIAL_MS });
}
