import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions as TlsServerOptions } from 'node:tls';
import type { Target } from '../../src/connection/wire.ts';

/** A server that stands for a node, and the sockets that it has accepted. */
export interface FakeNode {
  readonly target: Target;
  /** The next link, in the order of acceptance. */
  link(): Promise<Socket>;
  stop(): void;
}

/** With `tls` its links are those whose handshake is done. */
export async function fakeNode(tls?: TlsServerOptions): Promise<FakeNode> {
  const accepted: Socket[] = [];
  const accept = (socket: Socket): void => {
    socket.on('error', () => undefined);
    accepted.push(socket);
    server.emit('link');
  };
  const options = { allowHalfOpen: true, pauseOnConnect: false };
  const server: Server =
    tls === undefined ? createServer(options, accept) : createTlsServer({ ...options, ...tls }, accept);
  server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    target: { slot: 0, nodeId: 'n1', host: '127.0.0.1', port },
    async link() {
      while (accepted.length === 0) await once(server, 'link');
      return accepted.shift() as Socket;
    },
    stop() {
      for (const socket of accepted) socket.destroy();
      server.close();
    },
  };
}

/** All that a socket receives until its FIN; rejects where it is reset. */
export async function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

/** The first bytes of a socket, as soon as there are so many; none may be lost to another listener. */
export async function bytesOf(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let missing = length; missing > 0; ) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    chunks.push(chunk);
    missing -= chunk.length;
  }
  return Buffer.concat(chunks);
}

export async function firstBytes(socket: Socket, length: number): Promise<string> {
  return (await bytesOf(socket, length)).toString('latin1');
}

/** How a socket ended: 'fin', or the code of its error. libuv takes a reset that comes with the last bytes for an end. */
export function endOf(socket: Socket): Promise<string> {
  const { _handle } = socket as unknown as { _handle?: { getpeername?: (name: object) => number } };
  const isKnown = (): boolean => _handle?.getpeername?.({}) === 0 || socket.writableEnded;
  socket.resume();
  return new Promise((ended) => {
    socket.once('end', () => ended(isKnown() ? 'fin' : 'ECONNRESET'));
    socket.once('error', (error: NodeJS.ErrnoException) => ended(error.code ?? 'error'));
    socket.once('close', () => ended('closed'));
  });
}

export function payload(bytes: number): { bytes: Buffer; digest: string } {
  const buffer = randomBytes(bytes);
  return { bytes: buffer, digest: digest(buffer) };
}

export function digest(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}
