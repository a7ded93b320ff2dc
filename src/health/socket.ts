import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { checkServerIdentity, connect as secure } from 'node:tls';
import type { NodeAddresses } from '../nodes/addresses.ts';
import type { Endpoint } from '../protocol/proxy-protocol/header.ts';
import type { ProbeLimits, ProbeTarget } from './probe.ts';

/** The streams that a probe reads and writes. */
export interface ProbeSocket {
  /** Without TLS the same as `forwarder`. */
  readonly socket: Socket;
  readonly forwarder: Socket;
}

/**
 * Connects; `opened` is called behind the header that the node expects, and behind the handshake of TLS. Of several
 * addresses one after the other is tried.
 */
export function open(
  { host, port, addresses, header, tls }: ProbeTarget,
  { timeoutMs }: Pick<ProbeLimits, 'timeoutMs'>,
  opened: () => void = () => {},
): ProbeSocket {
  const forwarder = connect({ host, port, noDelay: true, ...(addresses && dialling(addresses, timeoutMs)) });
  forwarder.once('connect', () => {
    addresses?.reached(plain(forwarder.remoteAddress));
    if (header !== undefined) forwarder.write(header(...endsOf(forwarder))); // nothing can come before it
  });
  if (tls === undefined) return { socket: forwarder.once('connect', opened), forwarder };
  const { serverName, verify, certificate, ca } = tls;
  const socket = secure({
    socket: forwarder,
    minVersion: 'TLSv1.2',
    servername: isIP(serverName) === 0 ? serverName : '',
    rejectUnauthorized: verify,
    checkServerIdentity: (_asked, shown) => checkServerIdentity(serverName, shown),
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate.cert, key: certificate.key }),
  });
  forwarder.on('error', (error) => socket.destroy(error));
  return { socket: socket.once('secureConnect', opened), forwarder };
}

/** The most of a probe's time that an address has before the next one is tried. */
const ADDRESS_SHARE = 1 / 3;
/** As a device's dial waits. */
const ADDRESS_PATIENCE_MS = 1_200;

function dialling(addresses: NodeAddresses, timeoutMs: number): Partial<TcpNetConnectOpts> {
  const found = addresses.inTurn().map((address) => ({ address, family: isIP(address) }));
  return {
    lookup: (_host, _options, answer) => answer(null, found),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: Math.min(ADDRESS_PATIENCE_MS, Math.ceil(timeoutMs * ADDRESS_SHARE)),
  };
}

function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): [Endpoint, Endpoint] {
  return [
    { address: plain(localAddress), port: localPort ?? 0 },
    { address: plain(remoteAddress), port: remotePort ?? 0 },
  ];
}

/** Writes an IPv4-mapped address as plain IPv4. */
function plain(address = ''): string {
  return address.replace(/^::ffff:/, '');
}

/**
 * Closes a probe's socket at once. A reset rather than FIN keeps no TIME_WAIT behind for every probe. Before the
 * connection stands there is nothing to reset, and `resetAndDestroy` would wait for it; behind `end`, or while TLS has
 * something left to send, it would leave a handle that the process never gets rid of.
 */
export function discard({ socket, forwarder }: ProbeSocket): void {
  const isBusy = socket.writableEnded || (socket !== forwarder && socket.writableLength > 0);
  if (!isBusy && !forwarder.connecting) forwarder.resetAndDestroy();
  socket.destroy();
  forwarder.destroy();
}
