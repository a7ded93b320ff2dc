import type { Socket } from 'node:net';

/** `node:net` keeps what it cannot send at once, and the caller's bytes are only lent. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Buffer {
  return Buffer.copyBytesFrom(bytes, start, end - start);
}

/** Calls once, when the socket takes bytes again, or is closed. */
export function whenDrained(socket: Socket, call: () => void): void {
  function done(): void {
    socket.off('drain', done).off('close', done);
    call();
  }
  socket.on('drain', done).on('close', done);
}
