import { createServer, type Server, type Socket } from 'node:net';
import { BreakwaterError } from '../../base/errors.ts';
import { systemClock } from '../../base/time.ts';
import type { HeaderOptions, HeaderRefusal } from '../../protocol/proxy-protocol/expect.ts';
import type { ProxyHeader } from '../../protocol/proxy-protocol/header.ts';
import {
  type BoundAddress,
  type Engine,
  type EngineOptions,
  KEEP_ALIVE_IDLE_SECONDS,
  type ListenOptions,
  MAX_HANDSHAKES,
} from '../engine.ts';
import { HandshakeSlots } from '../handshake-slots.ts';
import { expectations, MAX_HEADERS, proxied } from '../headers.ts';
import type { TlsOptions } from '../tls.ts';
import { Handshakes } from './handshakes.ts';
import { readHeader } from './header-reader.ts';
import { HeldSockets } from './held-sockets.ts';
import { Links } from './links.ts';
import { SocketWire } from './socket-wire.ts';

/** How often devices that are not read are looked at. */
const GLANCE_MS = 1000;
/** How often the thread gives a sign of life where nothing happens. */
const BEAT_MS = 200;

/** The portable engine: `node:net` sockets on Node's own event loop. */
export function createNodeEngine(options: EngineOptions): Engine {
  /** By the index of the listener. */
  const servers = new Map<number, Server>();
  const open = new Set<SocketWire>();
  /** Of the TLS listeners, by index. */
  const handshakes = new Map<number, Handshakes>();
  /** What is expected at listeners that proxies stand before, by index. */
  const headers = new Map<number, { expect: ReturnType<typeof expectations>; timeoutMs: number }>();
  /** Sockets that owe their PROXY protocol header, and where they were accepted. */
  const pendingHeaders = new Map<Socket, number>();
  /** Who waits at listeners that are not open yet, by index. */
  const waiting = new Map<number, HeldSockets>();
  const links = new Links();
  const slots = new HandshakeSlots<Socket>(options.maxHandshakes ?? MAX_HANDSHAKES, systemClock, (socket) =>
    socket.resetAndDestroy(),
  );
  const glances = setInterval(() => {
    for (const wire of open) wire.glance();
  }, GLANCE_MS).unref();
  const beats = setInterval(() => options.pulse?.beat(systemClock.now()), BEAT_MS).unref();
  let closing: Promise<void> | undefined;
  let allClosed = (): void => {};

  function closed(wire: SocketWire): void {
    open.delete(wire);
    if (open.size === 0) allClosed();
  }

  function close(): Promise<void> {
    stopAccepting();
    clearInterval(glances);
    clearInterval(beats);
    return new Promise((resolve) => {
      allClosed = resolve;
      if (open.size === 0) resolve();
      for (const wire of open) wire.abort();
    });
  }

  /** A device behind a proxy is asked for only when it is known which one it is. */
  function accept(socket: Socket, listenerIndex: number): void {
    const proxies = headers.get(listenerIndex);
    if (proxies === undefined) return admit(socket, listenerIndex, undefined, 0);
    const address = plainAddress(socket.remoteAddress);
    const expectation = proxies.expect(address);
    if (expectation === 'skip') return admit(socket, listenerIndex, undefined, 0);
    const refused = (refusal: HeaderRefusal): void => {
      pendingHeaders.delete(socket);
      options.onHeaderRefused?.(listenerIndex, refusal, address);
    };
    const refusal = expectation === 'refuse' ? 'untrusted' : pendingHeaders.size >= MAX_HEADERS && 'too-many';
    if (refusal || expectation === 'refuse') {
      socket.on('error', () => undefined).resetAndDestroy();
      if (refusal) refused(refusal);
      return;
    }
    pendingHeaders.set(socket, listenerIndex);
    readHeader(socket, {
      expectation,
      timeoutMs: proxies.timeoutMs,
      refused,
      left: () => pendingHeaders.delete(socket),
      done(header, headerBytes) {
        pendingHeaders.delete(socket);
        admit(socket, listenerIndex, header, headerBytes);
      },
    });
  }

  function dropPendingHeaders(listenerIndex?: number): void {
    for (const [socket, index] of pendingHeaders) {
      if (listenerIndex === undefined || index === listenerIndex) socket.resetAndDestroy();
    }
  }

  function admit(
    socket: Socket,
    listenerIndex: number,
    header: ProxyHeader | undefined,
    headerBytes: number,
  ): void {
    const tls = handshakes.get(listenerIndex);
    const remoteAddress = plainAddress(socket.remoteAddress);
    if (tls !== undefined && !slots.take(socket, header?.source?.address ?? remoteAddress)) {
      socket.resetAndDestroy();
      options.onHandshakeRefused?.(listenerIndex);
      return;
    }
    if (tls !== undefined) socket.once('close', () => slots.release(socket));
    const wire = new SocketWire(socket, options, links, closed, headerBytes);
    const peer = {
      remoteAddress,
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
      const conversation = options.accept(wire, proxied(peer, header), listenerIndex);
      if (conversation === undefined) return wire.abort();
      open.add(wire);
      wire.start(conversation, tls);
    } catch (error) {
      options.onFault(error);
      wire.abort();
    }
  }

  function updateTls(listenerIndex: number, tls: TlsOptions): void {
    const known = handshakes.get(listenerIndex);
    if (known === undefined) handshakes.set(listenerIndex, new Handshakes(listenerIndex, tls, slots));
    else known.update(tls);
  }

  function updateHeaders(listenerIndex: number, expected: HeaderOptions | undefined): void {
    if (expected === undefined) headers.delete(listenerIndex);
    else headers.set(listenerIndex, { expect: expectations(expected), timeoutMs: expected.timeoutMs });
  }

  async function listen(listener: ListenOptions): Promise<BoundAddress> {
    updateHeaders(listener.index, listener.headers);
    if (listener.tls !== undefined) updateTls(listener.index, listener.tls);
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 1000 * KEEP_ALIVE_IDLE_SECONDS,
      highWaterMark: options.highWaterBytes,
    });
    const held = listener.isHeld ? new HeldSockets() : undefined;
    if (held !== undefined) waiting.set(listener.index, held);
    server.on('connection', (socket) => {
      if (!held?.hold(socket)) accept(socket, listener.index);
    });
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

  function openListener(listenerIndex: number): void {
    waiting.get(listenerIndex)?.open((socket) => accept(socket, listenerIndex));
    waiting.delete(listenerIndex);
  }

  function unlisten(listenerIndex: number): void {
    servers.get(listenerIndex)?.close();
    waiting.get(listenerIndex)?.drop();
    waiting.delete(listenerIndex);
    dropPendingHeaders(listenerIndex);
    servers.delete(listenerIndex);
    handshakes.delete(listenerIndex); // those under way end by themselves
  }

  function stopAccepting(): void {
    for (const server of servers.values()) server.close();
    for (const held of waiting.values()) held.drop();
    waiting.clear();
    dropPendingHeaders();
    servers.clear();
  }

  return {
    name: 'node',
    listen,
    updateTls,
    updateHeaders,
    updateUpstreamTls: (pool, tls) => void (tls === undefined ? links.drop(pool) : links.update(pool, tls)),
    open: openListener,
    unlisten,
    stopAccepting,
    now: systemClock.now,
    defer: setImmediate,
    close: () => (closing ??= close()),
  };
}

/** A dual-stack listener shows IPv4 devices as `::ffff:a.b.c.d`: rules and hashes want the plain form. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

export function listenError(
  listener: Pick<ListenOptions, 'host' | 'port'>,
  error: NodeJS.ErrnoException,
): BreakwaterError {
  const where = `${listener.host}:${listener.port}`;
  if (error.code === 'EADDRINUSE') {
    return new BreakwaterError(
      'ADDRESS_IN_USE',
      `${where} is in use by another program; stop it, or choose another address`,
      { cause: error },
    );
  }
  return new BreakwaterError('ADDRESS_NOT_AVAILABLE', `cannot listen on ${where}: ${error.code}`, {
    cause: error,
  });
}
