import { createServer, type Server, type Socket } from 'node:net';
import { BreakwaterError } from '../../errors.ts';
import {
  type BoundAddress,
  type Engine,
  type EngineOptions,
  type ListenOptions,
  MAX_HANDSHAKES,
} from '../engine.ts';
import type { TlsOptions } from '../tls.ts';
import { Handshakes } from './handshakes.ts';
import { SocketWire } from './socket-wire.ts';

/** How often devices that are not read are looked at. */
const GLANCE_MS = 1000;

/** The portable engine: `node:net` sockets on Node's own event loop. */
export function createNodeEngine(options: EngineOptions): Engine {
  /** By the index of the listener. */
  const servers = new Map<number, Server>();
  const open = new Set<SocketWire>();
  /** Of the TLS listeners, by index. */
  const handshakes = new Map<number, Handshakes>();
  const maxHandshakes = options.maxHandshakes ?? MAX_HANDSHAKES;
  const glances = setInterval(() => {
    for (const wire of open) wire.glance();
  }, GLANCE_MS).unref();
  let closing: Promise<void> | undefined;
  let allClosed = (): void => {};

  function closed(wire: SocketWire): void {
    open.delete(wire);
    if (open.size === 0) allClosed();
  }

  function close(): Promise<void> {
    stopAccepting();
    clearInterval(glances);
    return new Promise((resolve) => {
      allClosed = resolve;
      if (open.size === 0) resolve();
      for (const wire of open) wire.abort();
    });
  }

  function accept(socket: Socket, listenerIndex: number): void {
    const tls = handshakes.get(listenerIndex);
    if (tls !== undefined && inProgress() >= maxHandshakes) {
      socket.resetAndDestroy();
      options.onHandshakeRefused?.(listenerIndex);
      return;
    }
    const wire = new SocketWire(socket, options, closed);
    const peer = {
      remoteAddress: plainAddress(socket.remoteAddress),
      remotePort: socket.remotePort ?? 0,
      get destination() {
        const { localAddress, localPort } = socket;
        return localPort === undefined ? undefined : { address: plainAddress(localAddress), port: localPort };
      },
      get tls() {
        return wire.tls;
      },
    };
    try {
      const conversation = options.accept(wire, peer, listenerIndex);
      if (conversation === undefined) return wire.abort();
      open.add(wire);
      wire.start(conversation, tls);
    } catch (error) {
      options.onFault(error);
      wire.abort();
    }
  }

  function inProgress(): number {
    let sum = 0;
    for (const each of handshakes.values()) sum += each.inProgress;
    return sum;
  }

  function updateTls(listenerIndex: number, tls: TlsOptions): void {
    const known = handshakes.get(listenerIndex);
    if (known === undefined) handshakes.set(listenerIndex, new Handshakes(listenerIndex, tls));
    else known.update(tls);
  }

  async function listen(listener: ListenOptions): Promise<BoundAddress> {
    if (listener.tls !== undefined) updateTls(listener.index, listener.tls);
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      highWaterMark: options.highWaterBytes,
    });
    server.on('connection', (socket) => accept(socket, listener.index));
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(listener, error)));
      server.listen({ host: listener.host, port: listener.port, backlog: 4096 }, () => {
        servers.set(listener.index, server);
        server.on('error', options.onFault);
        const bound = server.address();
        if (bound === null || typeof bound === 'string') throw new BreakwaterError('INTERNAL', 'no address');
        resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  function unlisten(listenerIndex: number): void {
    servers.get(listenerIndex)?.close();
    servers.delete(listenerIndex);
    handshakes.delete(listenerIndex); // those under way end by themselves
  }

  function stopAccepting(): void {
    for (const server of servers.values()) server.close();
    servers.clear();
  }

  return {
    name: 'node',
    listen,
    updateTls,
    unlisten,
    stopAccepting,
    defer: setImmediate,
    close: () => (closing ??= close()),
  };
}

/** A dual-stack listener shows IPv4 devices as `::ffff:a.b.c.d`: rules and hashes want the plain form. */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

function listenError(listener: ListenOptions, error: NodeJS.ErrnoException): BreakwaterError {
  const where = `${listener.host}:${listener.port}`;
  if (error.code === 'EADDRINUSE') {
    return new BreakwaterError('ADDRESS_IN_USE', `${where} is in use by another program`, { cause: error });
  }
  return new BreakwaterError('ADDRESS_NOT_AVAILABLE', `cannot listen on ${where}: ${error.code}`, {
    cause: error,
  });
}
