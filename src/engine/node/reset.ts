import type { Socket } from 'node:net';

/**
 * Resets a socket. `resetAndDestroy` alone would wait for one that is still connecting, and behind `end` it leaves a
 * handle that keeps the thread from exiting.
 */
export function reset(socket: Socket): void {
  if (socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/**
 * Resets a TLS socket, which knows no reset itself, by the one that carries it. Where it has something left to send, its
 * end too, the carrier's reset would leave its handle and have the thread spin instead of exit: then it is only closed.
 */
export function resetTls(secured: Socket, carrier: Socket): void {
  if (secured.writableEnded || secured.writableLength > 0) {
    secured.destroy();
    carrier.destroy();
  } else {
    reset(carrier);
    secured.destroy();
  }
}
