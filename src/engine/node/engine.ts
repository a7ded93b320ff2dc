import { createServer, type Server, type Socket } from 'node:net';
import { BreakwaterError } from '../../base/errors.ts';
import { systemClock } from '../../base/time.ts';
import type { Peer } from '../../connection/wire.ts';
import type { ProxyProtocolOptions } from '../../protocol/proxy-protocol/expect.ts';
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
import { proxied } from '../headers.ts';
import type { TlsOptions, UpstreamTls } from '../tls.ts';
import { listenError, plainAddress } from './addresses.ts';
import { Handshakes } from './handshakes.ts';
import { HeldSockets } from './held-sockets.ts';
import { Links } from './links.ts';
import { PendingHeaders } from './pending-headers.ts';
import { closeHandshake } from './reset.ts';
import { SocketWire } from './socket-wire.ts';

/** The portable engine: listeners, connections and settings over `node:net`. */

/** How often devices that are not read are looked at. */
const GLANCE_MS = 1000;
/** How often the thread gives a sign of life where nothing happens. */
const BEAT_MS = 200;
const BACKLOG = 4096;

/** The portable engine: `node:net` sockets on Node's own event loop. */
export class NodeEngine implements Engine {
  readonly name = 'node';
  private readonly options: EngineOptions;
  /** By the index of the listener. */
  private readonly servers = new Map<number, Server>();
  /** Of the TLS listeners, by index. */
  private readonly handshakes = new Map<number, Handshakes>();
  /** Who waits at listeners that are not open yet, by index. */
  private readonly held = new Map<number, HeldSockets>();
  private readonly headers: PendingHeaders;
  private readonly links = new Links();
  private readonly slots: HandshakeSlots<Socket>;
  private readonly wires = new Set<SocketWire>();
  private readonly glances: NodeJS.Timeout;
  private readonly beats: NodeJS.Timeout;
  private closing: Promise<void> | undefined;
  private allClosed = (): void => {};

  constructor(options: EngineOptions) {
    this.options = options;
    this.headers = new PendingHeaders((...accepted) => this.admit(...accepted), options.onHeaderRefused);
    const maxHandshakes = options.maxHandshakes ?? MAX_HANDSHAKES;
    this.slots = new HandshakeSlots(maxHandshakes, systemClock, closeHandshake);
    this.glances = setInterval(() => this.glance(), GLANCE_MS).unref();
    this.beats = setInterval(() => options.pulse?.beat(systemClock.now()), BEAT_MS).unref();
  }

  now(): number {
    return systemClock.now();
  }

  defer(task: () => void): void {
    setImmediate(task);
  }

  private glance(): void {
    for (const wire of this.wires) wire.glance();
  }

  // ---- settings

  updateTls(listenerIndex: number, tls: TlsOptions): void {
    const known = this.handshakes.get(listenerIndex);
    if (known !== undefined) known.update(tls);
    else this.handshakes.set(listenerIndex, new Handshakes(listenerIndex, tls, this.slots));
  }

  updateProxyProtocol(listenerIndex: number, options: ProxyProtocolOptions | undefined): void {
    this.headers.configure(listenerIndex, options);
  }

  updateUpstreamTls(pool: number, tls: UpstreamTls | undefined): void {
    if (tls === undefined) this.links.drop(pool);
    else this.links.update(pool, tls);
  }

  // ---- listening

  async listen(listener: ListenOptions): Promise<BoundAddress> {
    const { index, host, port } = listener;
    if (listener.inherited !== undefined) throw noHandOver();
    this.updateProxyProtocol(index, listener.proxyProtocol);
    if (listener.tls !== undefined) this.updateTls(index, listener.tls);
    const server = this.createServer(index, listener.isHeld === true);
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(listener, error)));
      server.listen({ host, port, backlog: BACKLOG }, () => {
        this.servers.set(index, server);
        server.on('error', this.options.onFault);
        const bound = server.address();
        if (bound === null || typeof bound === 'string') throw new BreakwaterError('INTERNAL', 'no address');
        resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  private createServer(listenerIndex: number, isHeld: boolean): Server {
    const held = isHeld ? new HeldSockets() : undefined;
    if (held !== undefined) this.held.set(listenerIndex, held);
    const settings = {
      ...{ allowHalfOpen: true, noDelay: true, highWaterMark: this.options.highWaterBytes },
      ...{ keepAlive: true, keepAliveInitialDelay: 1000 * KEEP_ALIVE_IDLE_SECONDS },
    };
    return createServer(settings, (socket) => {
      if (!held?.hold(socket)) this.headers.accepted(socket, listenerIndex);
    });
  }

  open(listenerIndex: number): void {
    this.held.get(listenerIndex)?.open((socket) => this.headers.accepted(socket, listenerIndex));
    this.held.delete(listenerIndex);
  }

  unlisten(listenerIndex: number): void {
    this.servers.get(listenerIndex)?.close();
    this.servers.delete(listenerIndex);
    this.held.get(listenerIndex)?.drop();
    this.held.delete(listenerIndex);
    this.headers.close(listenerIndex);
    this.handshakes.delete(listenerIndex); // those under way end by themselves
  }

  stopAccepting(): void {
    for (const server of this.servers.values()) server.close();
    this.servers.clear();
    for (const held of this.held.values()) held.drop();
    this.held.clear();
    this.headers.close();
  }

  // ---- handing over: Node.js gives its descriptors to nobody

  hold(): never {
    throw noHandOver();
  }

  listening(): never {
    throw noHandOver();
  }

  leave(): never {
    throw noHandOver();
  }

  freeze(): never {
    throw noHandOver();
  }

  thaw(): never {
    throw noHandOver();
  }

  depart(): never {
    throw noHandOver();
  }

  adopt(): never {
    throw noHandOver();
  }

  // ---- connections

  private admit(
    socket: Socket,
    listenerIndex: number,
    header: ProxyHeader | undefined,
    headerBytes: number,
  ): void {
    const { options, slots } = this;
    const tls = this.handshakes.get(listenerIndex);
    const remoteAddress = plainAddress(socket.remoteAddress);
    if (tls !== undefined) {
      if (!slots.take(socket, header?.source?.address ?? remoteAddress)) {
        socket.resetAndDestroy();
        options.onHandshakeRefused?.(listenerIndex);
        return;
      }
      socket.once('close', () => slots.release(socket));
    }
    const wire = new SocketWire(socket, options, this.links, (closed) => this.closed(closed), headerBytes);
    try {
      const peer = proxied(peerOf(socket, remoteAddress, wire), header);
      const conversation = options.accept(wire, peer, listenerIndex);
      if (conversation === undefined) return wire.abort();
      this.wires.add(wire);
      wire.start(conversation, tls);
    } catch (error) {
      options.onFault(error);
      wire.abort();
    }
  }

  private closed(wire: SocketWire): void {
    this.wires.delete(wire);
    if (this.wires.size === 0) this.allClosed();
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private closeAll(): Promise<void> {
    this.stopAccepting();
    clearInterval(this.glances);
    clearInterval(this.beats);
    return new Promise((resolve) => {
      this.allClosed = resolve;
      if (this.wires.size === 0) resolve();
      for (const wire of this.wires) wire.abort();
    });
  }
}

function noHandOver(): BreakwaterError {
  const message =
    'the node engine hands over no connections; use proxy.engine: epoll or uring, which are for Linux';
  return new BreakwaterError('UPGRADE_UNAVAILABLE', message);
}

function peerOf(socket: Socket, remoteAddress: string, wire: SocketWire): Peer {
  return {
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
}
