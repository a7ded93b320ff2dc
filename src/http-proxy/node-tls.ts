import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import type { TargetTls } from '../connection/wire.ts';
import type { UpstreamTls } from '../engine/tls.ts';

/** How a node is reached by TLS: the name that its certificate is for, and what its pool says. */
interface NodeTls {
  /** Name or IP literal. */
  readonly name: string;
  readonly options: ConnectionOptions;
}

export function nodeTls(target: TargetTls, { ca, certificate, serverName, verify }: UpstreamTls): NodeTls {
  const name = serverName ?? target.serverName;
  const options: ConnectionOptions = {
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
    servername: isIP(name) === 0 ? name : '', // an address is no server name (RFC 6066, 3)
    rejectUnauthorized: verify,
    checkServerIdentity: (_asked, shown) => checkServerIdentity(name, shown),
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate.cert, key: certificate.key }),
  };
  return { name, options };
}

type Connected = (...result: [error: Error, socket: null] | [error: null, socket: TLSSocket]) => void;

/** undici's own connector would ask for the name that the client asked us for. */
export function tlsConnector(
  options: ConnectionOptions & { readonly localAddress?: string | undefined },
  timeoutMs: number,
) {
  return (_asked: unknown, connected: Connected): void => {
    const socket = connect(options);
    const late = setTimeout(() => {
      socket.destroy(Object.assign(new Error('no TLS in time'), { code: 'ETIMEDOUT' }));
    }, timeoutMs);
    const failed = (error: Error): void => {
      clearTimeout(late);
      connected(error, null);
    };
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      clearTimeout(late);
      socket.off('error', failed);
      connected(null, socket);
    });
  };
}
