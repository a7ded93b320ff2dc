import { closeSync } from 'node:fs';

/** Notes which file descriptors a thread has open, so that the main thread can close those of a thread that has died. */

/** Higher ones are refused, whatever the process may open: what is kept for each has a bound. */
export const DESCRIPTORS_MAX = 1 << 20;

/**
 * Which descriptors a thread has open, by number. They belong to the process: those of a thread that dies without a word
 * (out of memory, ended from outside) would stay open for ever, devices that nobody hears, and listening sockets that
 * take their part of all connects. Memory that costs nothing until it is touched.
 */
export function createDescriptors(): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(DESCRIPTORS_MAX));
}

/** Closes what a thread that has ended left open; how many there were. */
export function closeDescriptors(open: Uint8Array, close: (fd: number) => void = closeSync): number {
  let count = 0;
  for (let fd = open.indexOf(1); fd >= 0; fd = open.indexOf(1, fd + 1)) {
    open[fd] = 0;
    close(fd);
    count++;
  }
  return count;
}
