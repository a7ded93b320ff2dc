import { connect, type Socket } from 'node:net';
import type { Target } from '../../connection/wire.ts';
import { KEEP_ALIVE_IDLE_SECONDS } from '../engine.ts';

/** Opens TCP connections to nodes, and gives up those that take too long. */

/** A TCP socket that is connecting to a node. */
export function dialTcp({ host, port, sourceAddress }: Target, highWaterMark: number): Socket {
  return connect({
    ...{ host, port, localAddress: sourceAddress },
    ...{ noDelay: true, allowHalfOpen: true, highWaterMark },
    ...{ keepAlive: true, keepAliveInitialDelay: 1000 * KEEP_ALIVE_IDLE_SECONDS },
  } as never);
}

/** A connect that takes longer has failed. */
export function giveUpAfter(ms: number, socket: Socket): void {
  const late = setTimeout(() => {
    socket.destroy(Object.assign(new Error('not connected in time'), { code: 'ETIMEDOUT' }));
  }, ms);
  socket.once('connect', () => clearTimeout(late)).once('close', () => clearTimeout(late));
}
