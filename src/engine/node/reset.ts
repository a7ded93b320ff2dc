import type { Socket } from 'node:net';
import type { EndCause } from '../../connection/wire.ts';

/** Resets sockets of `node:net`, and recognizes those that were reset by the peer. */

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
 * end too, the forwarder's reset would leave its handle and have the thread spin instead of exit: then it is only closed.
 */
export function resetTls(secured: Socket, forwarder: Socket): void {
  if (secured.writableEnded || secured.writableLength > 0) {
    secured.destroy();
    forwarder.destroy();
  } else {
    reset(forwarder);
    secured.destroy();
  }
}

/**
 * Closes a socket whose TLS handshake is under way. `tls.Server` may be ending its side just then, because the device has
 * left, and nobody can see it: a reset would be refused (EINVAL of `uv_tcp_close_reset`), and the socket never closed.
 */
export function closeHandshake(socket: Socket): void {
  socket.destroy();
}

/** Whether the kernel still knows the peer (getpeername(2)); `remoteAddress` would answer from memory. */
export function hasPeer(socket: Socket): boolean {
  const { _handle } = socket as unknown as { _handle?: { getpeername?: (name: object) => number } };
  return _handle?.getpeername?.({}) === 0;
}

/**
 * libuv takes it for an end when a reset comes together with the last bytes (`uv__stream_io`: POLLHUP behind a partial
 * read). One that has been ended here too may be gone from the kernel for a better reason.
 */
export function wasReset(socket: Socket): boolean {
  return !socket.writableEnded && !hasPeer(socket);
}

export function resetError(): Error {
  return Object.assign(new Error('reset by the peer'), { code: 'ECONNRESET' });
}

/** What an error of a socket is to its connection. */
export function causeOf(error: NodeJS.ErrnoException): EndCause {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return 'reset';
  if (error.code?.startsWith('ERR_SSL_')) return 'tls';
  return error.code === 'ETIMEDOUT' ? 'timeout' : 'error';
}
