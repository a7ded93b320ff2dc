import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { descriptorPair, openDescriptorSocket } from '../engine/linux/descriptor-socket.ts';
import { type Channel, openChannel } from '../handover/channel.ts';
import { type FromNew, type FromOld, fromNew, fromOld } from '../handover/protocol.ts';
import { doubleFork } from './double-fork.ts';
import { HAND_OVER_VARIABLE, KEEPER_FD } from './keeper.ts';

/** The new process of an upgrade, as the old one sees it. */
export interface Successor {
  readonly pid: number;
  readonly channel: Channel<FromOld, FromNew>;
  /** The other end of the new process's line to its keeper, where this process is to be that. */
  readonly line: Duplex | undefined;
  /** Has it read its configuration again, as soon as it is the proxy. */
  hangUp(): void;
  /** Ends it at once, and resolves when it has ended: then it has nothing any more of what it was given. */
  kill(): Promise<void>;
}

interface SuccessorOptions {
  /** The program of Node.js. */
  readonly node: string;
  /** The descriptor of this process's own line to its keeper, which the new one takes over; undefined: this process is the keeper. */
  readonly line: number | undefined;
  /** A service manager is to have the new process as its main process. */
  readonly isManaged: boolean;
}

/** The descriptors from the third on that the new process starts with. */
type Descriptors = readonly (number | 'pipe')[];

/**
 * Starts the program as this process was started: the same options, arguments and folder, and whatever is installed there now.
 * In a session of its own: signals of a terminal come by way of its keeper.
 * @throws Error where it cannot be started
 */
export async function startSuccessor({ node, line, isManaged }: SuccessorOptions): Promise<Successor> {
  const { ours, theirs } = descriptorPair();
  const socket = openDescriptorSocket(ours);
  try {
    const start = isManaged ? startOrphan : startChild;
    const { pid, stdio, kill } = await start(command(node), [theirs, line ?? 'pipe']);
    const ownLine = line === undefined ? (stdio[KEEPER_FD] as unknown as Duplex) : undefined;
    const channel = openChannel(socket, fromNew, fromOld);
    return { pid, channel, line: ownLine, kill, hangUp: () => hangUp(pid) };
  } catch (error) {
    socket.close();
    throw error;
  } finally {
    closeSync(theirs);
  }
}

function hangUp(pid: number): void {
  try {
    process.kill(pid, 'SIGHUP');
  } catch {
    // It has ended, and the upgrade fails.
  }
}

function command(node: string): string[] {
  const [, ...args] = process.argv;
  return [node, ...process.execArgv, ...args];
}

function environment(): NodeJS.ProcessEnv {
  const { WATCHDOG_PID: _, ...env } = process.env; // names this process
  return { ...env, [HAND_OVER_VARIABLE]: '1' };
}

async function startChild([program = '', ...args]: readonly string[], descriptors: Descriptors) {
  const child = spawn(program, args, {
    env: environment(),
    stdio: ['inherit', 'inherit', 'inherit', ...descriptors],
    detached: true,
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await once(child, 'spawn');
  child.unref();
  return {
    pid: child.pid as number,
    stdio: child.stdio,
    async kill() {
      child.ref();
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function startOrphan(command: readonly string[], descriptors: Descriptors) {
  return doubleFork(command, { env: environment(), descriptors });
}
