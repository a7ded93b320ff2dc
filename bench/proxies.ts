import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROXY_CORE } from './plan.ts';

/** One way from the load to the sink: a proxy on its own port, or none. */
export interface Contender {
  readonly name: string;
  /** Command and arguments; none for the direct connection. */
  command(ports: Ports, directory: string): readonly string[] | undefined;
  /** Cores to run on, where it is not the one that all proxies take turns on. */
  readonly cores?: string;
}

export interface Ports {
  readonly proxy: number;
  readonly sink: number;
}

/** Where Debian keeps servers. */
export const searchPath = `${process.env.PATH}:/usr/sbin:/sbin`;

export interface Running {
  readonly port: number;
  pids(): number[];
  stop(): Promise<void>;
}

/** Says in one line why a contender cannot take part. */
export class CannotRun extends Error {}

/**
 * Starts the contender pinned to a core, and waits until it accepts.
 * @throws CannotRun where its program is missing or refuses the configuration
 */
export async function run(contender: Contender, ports: Ports, directory: string): Promise<Running> {
  const command = contender.command(ports, directory);
  if (command === undefined) {
    return { port: ports.sink, pids: () => [], stop: async () => undefined };
  }
  const child = spawn('taskset', ['-c', contender.cores ?? String(PROXY_CORE), ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: searchPath },
  });
  const ended = new Promise((done) => child.once('close', done));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(2000)]);
    child.kill('SIGKILL');
    await ended;
  };
  try {
    await accepting(contender.name, ports.proxy, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port: ports.proxy, pids: () => family(child.pid as number), stop };
}

async function accepting(name: string, port: number, child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr?.on('data', (text) => {
    if (said.length < 2000) said += text;
  });
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) {
      await sleep(50); // for its last words
      throw new CannotRun(`${name} does not start: ${said.trim().replaceAll(/\s*\n\s*/g, '; ')}`);
    }
    const open = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        done(true);
      });
      socket.once('error', () => done(false));
    });
    if (open) return;
    await sleep(50);
  }
  throw new CannotRun(`${name} does not accept on port ${port}`);
}

/** The process and its children (nginx works in one). */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children];
}
