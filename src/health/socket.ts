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
 * Closes a probe's socket at once. A reset rather than FIN keeps no TIME_WAIT behind for every probe; before the
 * connection stands there is nothing to reset, and `resetAndDestroy` would wait for it.
 */
export function discard({ socket, carrier }: ProbeSocket): void {
  if (carrier.connecting) carrier.destroy();
  else carrier.resetAndDestroy();
  socket.destroy();
}
