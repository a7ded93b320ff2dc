import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { decodeProxyHeader } from '../../src/protocol/proxy-protocol/decode.ts';
import { atEnd } from './process.ts';

/**
 * Stands before a broker as a listener of EMQX with `proxy_protocol = true` does (esockd_proxy_protocol): after a header of
 * version 2 that says it is 0 bytes long it asks the socket for 0 bytes more, which means all that is there. So a CONNECT
 * behind a LOCAL is swallowed.
 */
export async function startEmqxListener(brokerPort: number) {
  const sockets = new Set<Socket>();
  let swallowed = 0;

  function accept(socket: Socket): void {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    let bytes = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const header = decodeProxyHeader(bytes, 0, bytes.length);
      if (header.kind === 'incomplete') return;
      socket.off('data', read);
      if (header.kind === 'refused') return void socket.destroy();
      const isEmpty = header.header.version === 2 && header.end === 16;
      const rest = bytes.subarray(header.end);
      if (!isEmpty) return pass(rest);
      if (rest.length > 0) swallowed++;
      else
        socket.once('data', () => {
          swallowed++;
        });
    };
    const pass = (rest: Buffer): void => {
      const upstream = connect(brokerPort, '127.0.0.1').on('error', () => {});
      upstream.write(rest);
      socket.pipe(upstream).pipe(socket);
      socket.once('close', () => upstream.destroy());
    };
    socket.on('data', read);
  }

  const server = createServer(accept).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  atEnd(() => server.listening && close());
  return {
    port,
    /** CONNECTs that were lost behind an empty header. */
    swallowed: () => swallowed,
    close,
    async open(): Promise<void> {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
  };
}
