import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { descriptorPair, openDescriptorSocket } from '../engine/linux/descriptor-socket.ts';
import { type Channel, openChannel } from '../handover/channel.ts';
import { type FromNew, type FromOld, fromNew } from '../handover/protocol.ts';
import { HAND_OVER_VARIABLE, KEEPER_FD } from './keeper.ts';

/** The new process of an upgrade, as the old one sees it. */
export interface Successor {
  readonly pid: number;
  readonly channel: Channel<FromOld, FromNew>;
  /** The other end of the new process's line to its keeper, where this process is to be that. */
  readonly line: Duplex | undefined;
  /** Ends it at once, and resolves when it has ended: then it has nothing any more of what it was given. */
  kill(): Promise<void>;
}

/**
 * Starts the program as this process was started: the same Node.js, options, arguments and folder, and whatever is installed there now.
 * In a session of its own: signals of a terminal come by way of its keeper.
 * @param line the descriptor of this process's own line to its keeper, which the new one takes over; undefined: this process is the keeper
 * @throws Error where it cannot be started
 */
export async function startSuccessor(line: number | undefined): Promise<Successor> {
  const { ours, theirs } = descriptorPair();
  const [, ...args] = process.argv;
  const { WATCHDOG_PID: _, ...env } = process.env; // names this process
  const child = spawn(process.execPath, [...process.execArgv, ...args], {
    env: { ...env, [HAND_OVER_VARIABLE]: '1' },
    stdio: ['inherit', 'inherit', 'inherit', theirs, line ?? 'pipe'],
    detached: true,
  });
  closeSync(theirs);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const socket = openDescriptorSocket(ours);
  try {
    await once(child, 'spawn');
  } catch (error) {
    socket.close();
    throw error;
  }
  child.unref();
  return {
    pid: child.pid as number,
    channel: openChannel(socket, fromNew),
    line: line === undefined ? (child.stdio[KEEPER_FD] as unknown as Duplex) : undefined,
    async kill() {
      child.ref();
      child.kill('SIGKILL');
      await exited;
    },
  };
}
