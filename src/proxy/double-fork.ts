import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Starts a process that is no child of this one: a shell starts it, and ends. So it becomes a child of whoever reaps orphans, which is
 * the service manager. systemd waits for the end of a main process only where that is its child, and kills another right behind SIGTERM.
 */

/** Of the pipe on which the shell says the number of the process. */
const PID_FD = 5;
const SCRIPT = `"$@" ${PID_FD}>&- & echo $! >&${PID_FD}`;
const LOOK_MS = 10;

/** What spawn(3) needs besides the command; descriptors from 3 on are the new process's, standard input is empty. */
interface DoubleForkOptions {
  readonly env: NodeJS.ProcessEnv;
  /** From the third descriptor on. */
  readonly descriptors: readonly (number | 'pipe')[];
}

/** A process that another one reaps. */
interface Orphan {
  readonly pid: number;
  /** Our ends of the descriptors that are pipes. */
  readonly stdio: ChildProcess['stdio'];
  /** Ends it at once, and resolves when it has ended. */
  kill(): Promise<void>;
}

/** In a session of its own. @throws Error where there is no shell */
export async function doubleFork(
  command: readonly string[],
  { env, descriptors }: DoubleForkOptions,
): Promise<Orphan> {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'sh', ...command], {
    env,
    stdio: ['inherit', 'inherit', 'inherit', ...descriptors, 'pipe'],
    detached: true,
  });
  const stdio: readonly unknown[] = shell.stdio;
  const [said] = await Promise.all([text(stdio[PID_FD] as Readable), once(shell, 'exit')]);
  const pid = Number(said);
  if (!(pid > 0)) throw new Error('the shell has started no process');
  const since = startOf(pid);
  const isAlive = (): boolean => since !== undefined && startOf(pid) === since;
  return {
    pid,
    stdio: shell.stdio,
    async kill() {
      if (isAlive()) process.kill(pid, 'SIGKILL');
      while (isAlive()) await sleep(LOOK_MS);
    },
  };
}

/** When the process of this number was started, in ticks since the start of the machine (proc_pid_stat(5)); undefined: it has ended. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from the third field on
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
