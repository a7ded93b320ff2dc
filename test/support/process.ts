import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { adopt } from './children.ts';
import { patience, until } from './wait.ts';

const cleanups = new Set<() => unknown>();

/** Is called once when the test file ends, the last one first, also when a test failed. */
export function atEnd(cleanup: () => unknown): void {
  cleanups.add(cleanup);
}

export async function endAll(): Promise<void> {
  const all = [...cleanups].reverse();
  cleanups.clear();
  await Promise.allSettled(all.map((cleanup) => cleanup()));
}

export interface Spawned {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Standard output and error so far, in the order of arrival. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** Exit code, or the name of the signal that ended it. */
  readonly exited: Promise<number | string>;
  /** SIGTERM, after 3 seconds (on a quiet machine) SIGKILL; waits for the end. */
  stop(): Promise<void>;
}

const executeFile = promisify(execFile);

/** Debian keeps servers in /usr/sbin, which is not in everyone's path. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

export function start(command: string, args: readonly string[], extraEnv: NodeJS.ProcessEnv = {}): Spawned {
  const child = adopt(
    spawn(command, args, { env: { ...env, ...extraEnv }, stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  let text = '';
  const keep = (chunk: string) => {
    text += chunk;
  };
  child.stdout?.setEncoding('utf8').on('data', keep);
  child.stderr?.setEncoding('utf8').on('data', keep);
  const exited = new Promise<number | string>((resolve) => {
    child.once('error', (error) => {
      text += `${error.message}; run test/install-servers.sh\n`;
      resolve('not started');
    });
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  const ended = () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  const kill = (signal: NodeJS.Signals) => {
    if (!ended()) child.kill(signal);
  };
  const stop = async () => {
    kill('SIGCONT');
    kill('SIGTERM');
    const last = setTimeout(() => kill('SIGKILL'), patience(3_000));
    await exited;
    clearTimeout(last);
  };
  // How our own programs end is not looked at any more, and they would wait for their devices. Others, such as nginx, end
  // processes of theirs when they are asked to.
  atEnd(() => {
    if (command !== process.execPath) return stop();
    kill('SIGKILL');
    return exited;
  });
  return { child, pid: child.pid ?? -1, output: () => text, kill, exited, stop };
}

/** Runs a program to its end. @throws Error where it fails; `maxBuffer` and the rest as of `execFile` */
export const execute: typeof executeFile = ((
  command: string,
  args: readonly string[],
  options: object = {},
) => {
  const running = executeFile(command, args, { env, timeout: patience(60_000), ...options });
  adopt(running.child);
  return running;
}) as typeof executeFile;

/** A directory that is removed when the test file ends. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'breakwater-test-'));
  atEnd(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Waits until something accepts on the port, or fails with the output of the server that should. */
export async function accepts(port: number, server: Spawned): Promise<void> {
  let ended: number | string | undefined;
  server.exited.then((code) => {
    ended = code;
  });
  await until(async () => {
    if (ended !== undefined) throw new Error(`server ended (${ended}): ${server.output()}`);
    const socket = connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    return open;
  }, `a server on port ${port}`);
}

/** Resident memory of a process (Linux: `VmRSS`). */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}
