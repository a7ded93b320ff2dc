import type { Socket } from 'node:net';

/**
 * Closes a probe's socket at once. A reset rather than FIN keeps no TIME_WAIT behind for every probe; before the
 * connection stands there is nothing to reset, and `resetAndDestroy` would wait for it.
 */
export function discard(socket: Socket): void {
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}
