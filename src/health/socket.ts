import { connect, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as secure } from 'node:tls';
import type { ProbeTarget } from './probe.ts';

/** Where a probe speaks. */
export interface ProbeSocket {
  /** Without TLS the same as `carrier`. */
  readonly socket: Socket;
  readonly carrier: Socket;
}

/** Connects; `opened` is called behind the header that the node expects, and behind the handshake of TLS. */
export function open({ host, port, header, tls }: ProbeTarget, opened: () => void = () => {}): ProbeSocket {
  const carrier = connect({ host, port, noDelay: true });
  if (header !== undefined) carrier.write(header); // now, so that nothing can come before it
  if (tls === undefined) return { socket: carrier.once('connect', opened), carrier };
  const { serverName, verify, certificate, ca } = tls;
  const socket = secure({
    socket: carrier,
    minVersion: 'TLSv1.2',
    servername: isIP(serverName) === 0 ? serverName : '',
    rejectUnauthorized: verify,
    checkServerIdentity: (_asked, shown) => checkServerIdentity(serverName, shown),
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate.cert, key: certificate.key }),
  });
  carrier.on('error', (error) => socket.destroy(error));
  return { socket: socket.once('secureConnect', opened), carrier };
}

/**
 * Closes a probe's socket at once. A reset rather than FIN keeps no TIME_WAIT behind for every probe. Before the
 * connection stands there is nothing to reset, and `resetAndDestroy` would wait for it; behind `end`, or while TLS has
 * something left to send, it would leave a handle that the process never gets rid of.
 */
export function discard({ socket, carrier }: ProbeSocket): void {
  const isBusy = socket.writableEnded || (socket !== carrier && socket.writableLength > 0);
  if (!isBusy && !carrier.connecting) carrier.resetAndDestroy();
  socket.destroy();
  carrier.destroy();
}
