import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { reapChildren } from '../engine/linux/reap.ts';

/**
 * The process that a person or a supervisor has started stays until the proxy ends, whatever upgrades there are meanwhile: it
 * keeps what started it from taking the proxy for ended. A keeper passes signals on to the process that is the proxy now, and
 * ends with its exit code. As the first process of a container it also reaps the others, which lose their parents one after the
 * other. It has a line to the proxy, which each process leaves to the next: a Unix socket without a name.
 */

/** Set for a process that takes over; the descriptors are as these say. */
export const HAND_OVER_VARIABLE = 'BREAKWATER_HANDOVER';
export const HAND_OVER_FD = 3;
export const KEEPER_FD = 4;

const passedOn = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const;
type PassedSignal = (typeof passedOn)[number];

/** The line of a proxy to its keeper. */
export interface KeeperLine {
  /** Of the line, for the process after this one. */
  readonly fd: number | undefined;
  /** This process is the proxy: what its keeper is told comes here. */
  heed(run: (signal: PassedSignal) => void): void;
  /** The process after this one has the line. */
  leave(): void;
  /** The proxy ends with this code. */
  ended(code: number): void;
}

/** Of a process that took over; in the session of its own it gets no signals of a terminal. */
export function openKeeperLine(fd = KEEPER_FD): KeeperLine {
  const socket = new Socket({ fd, readable: true, writable: true })
    .on('error', () => socket.destroy())
    .unref();
  socket.pause();
  return {
    get fd() {
      const { _handle } = socket as unknown as { _handle?: { readonly fd: number } | null };
      return _handle?.fd;
    },
    heed(run) {
      eachLine(socket, (word) => {
        const signal = passedOn.find((known) => known === word);
        if (signal !== undefined) run(signal);
      });
      socket.unref();
    },
    leave: () => void socket.destroy(),
    ended: (code) => void socket.write(`${code}\n`),
  };
}

/** Of the first process of a container, or of another namespace of processes. */
const INIT_PID = 1;

/** Keeps the process at the other end. Resolves with the exit code of the proxy when there is none any more. */
export function keep(line: Duplex): Promise<number> {
  let code = 1;
  const pass = (signal: NodeJS.Signals): void => void line.write(`${signal}\n`);
  for (const signal of passedOn) process.on(signal, pass);
  if (process.pid === INIT_PID) {
    process.on('SIGCHLD', reapChildren);
    reapChildren();
  }
  line.on('error', () => line.destroy());
  eachLine(line, (word) => {
    code = Number(word);
  });
  return new Promise((resolve) => line.once('close', () => resolve(code)));
}

function eachLine(stream: Duplex, run: (line: string) => void): void {
  createInterface({ input: stream }).on('line', run);
}
