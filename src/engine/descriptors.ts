import { closeSync } from 'node:fs';
import { systemTimers, type Timers } from '../base/time.ts';

/** Notes which descriptors a thread has open, and its mappings, so that the main thread can end those of one that has died. */

/** Higher ones are refused, whatever the process may open: what is kept for each has a bound. */
export const DESCRIPTORS_MAX = 1 << 20;

/** Of one thread: the rings and the submissions of one ring. */
const MAPPINGS_MAX = 2;

/** What is noted of each: it is not open; it is a connection; it is something else, such as a listening socket. */
export const CLOSED = 0;
export const CONNECTION = 1;
export const OTHER = 2;

/**
 * Connections of a thread that has died end over this time. Their devices come back at once, and each logs in anew: all in
 * one moment would storm the brokers, and whoever takes them.
 */
const SPREAD_MS = 2_000;
const STEPS = 100;

/**
 * Which descriptors a thread has open, by number. They belong to the process: those of a thread that dies without a word
 * (out of memory, ended from outside) would stay open for ever, devices that nobody hears, and listening sockets that
 * take their part of all connects. Memory that costs nothing until it is touched.
 */
export function createDescriptors(): Uint8Array {
  const memory = new SharedArrayBuffer(DESCRIPTORS_MAX + 2 * MAPPINGS_MAX * Float64Array.BYTES_PER_ELEMENT);
  return new Uint8Array(memory, 0, DESCRIPTORS_MAX);
}

/**
 * What a thread has mapped, as pairs of an address and a number of bytes; 0: nothing. Memory that is shared with a ring of
 * the kernel keeps that ring, and with it all sockets that it receives from, however their descriptors are closed.
 */
export function mappingsOf({ buffer }: Uint8Array): Float64Array {
  return new Float64Array(buffer, DESCRIPTORS_MAX, 2 * MAPPINGS_MAX);
}

/**
 * Closes what a thread that has ended left open: listening sockets at once, connections over `SPREAD_MS`, in the order of
 * their numbers, so that a device and its link go together. Returns how many connections there are.
 */
export function closeDescriptors(
  open: Uint8Array,
  timers: Pick<Timers, 'setTimeout'>,
  close: (fd: number) => void = closeSync,
): number {
  const connections: number[] = [];
  for (let fd = 0; fd < open.length; fd++) {
    if (open[fd] === CONNECTION) connections.push(fd);
    else if (open[fd] === OTHER) closeQuietly(fd, close);
  }
  open.fill(CLOSED);
  closeInTurn(connections, timers, close);
  return connections.length;
}

/** Closes connections over `SPREAD_MS`, in this order. */
function closeInTurn(
  connections: readonly number[],
  timers: Pick<Timers, 'setTimeout'>,
  close: (fd: number) => void = closeSync,
): void {
  let closed = 0;
  const closeSome = (step: number): void => {
    const until = Math.ceil((connections.length * step) / STEPS);
    for (; closed < until; closed++) closeQuietly(connections[closed] as number, close);
    if (closed < connections.length) timers.setTimeout(() => closeSome(step + 1), SPREAD_MS / STEPS);
  };
  closeSome(1);
}

/** Closes what has no owner any more, in the same way. */
export function closeLeft(listening: readonly number[], connections: readonly number[]): void {
  for (const fd of listening) closeQuietly(fd, closeSync);
  closeInTurn(connections, systemTimers);
}

/** Whatever close(2) says, the descriptor is closed. */
function closeQuietly(fd: number, close: (fd: number) => void): void {
  try {
    close(fd);
  } catch {}
}
