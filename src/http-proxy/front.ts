import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { PeerTls } from '../connection/wire.ts';
import type { ListenOptions } from '../engine/engine.ts';
import { HandshakeSlots } from '../engine/handshake-slots.ts';
import { expectations, MAX_HEADERS } from '../engine/headers.ts';
import { listenError, plainAddress } from '../engine/node/addresses.ts';
import { describe, Handshakes } from '../engine/node/handshakes.ts';
import { readHeader } from '../engine/node/header-reader.ts';
import { HeldSockets } from '../engine/node/held-sockets.ts';
import { closeHandshake, reset, resetTls } from '../engine/node/reset.ts';
import type { TlsOptions } from '../engine/tls.ts';
import type { HeaderRefusal, ProxyProtocolOptions } from '../protocol/proxy-protocol/expect.ts';
import { CarriedBytes } from './carried-bytes.ts';
import type { HttpHost } from './http-host.ts';

/** The device at the other end of a connection. */
export interface HttpPeer {
  /** IP literal: of the socket, or what a PROXY protocol header says. */
  readonly address: string;
  /** Absent without TLS. */
  readonly tls: PeerTls | undefined;
}

export interface FrontOptions {
  readonly index: number;
  readonly tls?: TlsOptions | undefined;
  readonly proxyProtocol?: ProxyProtocolOptions | undefined;
}

export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

/** Bounds the devices that wait in the kernel, as at the other listeners. */
const BACKLOG = 4096;

/**
 * What stands before HTTP: the listening socket, the PROXY protocol header of a proxy before us, the connection limiter, and TLS.
 * Connections come out of it as if they had just been accepted.
 */
export class Front {
  private readonly context: HttpHost;
  private readonly index: number;
  /** Of the present address. */
  private server: Server | undefined;
  private held: HeldSockets | undefined;
  /** What was accepted, and what it carries where TLS is spoken. */
  private readonly sockets = new Map<Socket, TLSSocket | undefined>();
  private readonly onConnection: (socket: Socket, peer: HttpPeer) => void;
  private tls: TlsOptions | undefined;
  private handshakes: Handshakes | undefined;
  private readonly slots: HandshakeSlots<Socket>;
  private readonly carried: CarriedBytes;
  /** Connections that owe their PROXY protocol header. */
  private owing = 0;
  private proxyProtocol: { expect: ReturnType<typeof expectations>; timeoutMs: number } | undefined;

  /** @throws BreakwaterError TLS_INVALID */
  constructor(
    context: HttpHost,
    options: FrontOptions,
    onConnection: (socket: Socket, peer: HttpPeer) => void,
  ) {
    this.context = context;
    this.index = options.index;
    this.onConnection = onConnection;
    this.slots = new HandshakeSlots(context.maxHandshakes, context, closeHandshake);
    this.carried = new CarriedBytes((fromDevice, toDevice) => context.carried(fromDevice, toDevice));
    this.applySettings(options);
  }

  /** The certificates, and what is expected of PROXY protocol headers, for new connections. @throws BreakwaterError TLS_INVALID; then the former certificates stay */
  applySettings({ tls, proxyProtocol }: Omit<FrontOptions, 'index'>): void {
    this.proxyProtocol = proxyProtocol && {
      expect: expectations(proxyProtocol),
      timeoutMs: proxyProtocol.timeoutMs,
    };
    if (tls !== undefined && !isDeepStrictEqual(tls, this.tls)) this.updateTls(tls);
  }

  /** @throws BreakwaterError TLS_INVALID; then the former ones stay */
  updateTls(tls: TlsOptions): void {
    if (this.handshakes === undefined) this.handshakes = new Handshakes(this.index, tls, this.slots);
    else this.handshakes.update(tls);
    this.tls = tls;
  }

  /** `isHeld`: nobody is accepted before `open`. @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE */
  listen({ host, port, isHeld, inherited }: ListenOptions): Promise<HttpAddress> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true });
    const held = isHeld === true ? new HeldSockets() : undefined;
    this.held = held;
    server.on('connection', (socket) => {
      if (!held?.hold(socket)) this.accept(socket);
    });
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => reject(listenError({ host, port }, error));
      server.once('error', failed);
      const [fd] = inherited ?? [];
      server.listen(fd === undefined ? { host, port, backlog: BACKLOG } : { fd }, () => {
        server.off('error', failed);
        server.on('error', (error) => this.context.fault(error));
        this.server = server;
        const { address, port: bound } = server.address() as AddressInfo;
        resolve({ host: address, port: bound });
      });
    });
  }

  /** Of the listening socket, if there is one. */
  get descriptors(): readonly number[] {
    const { _handle } = (this.server ?? {}) as { _handle?: { readonly fd: number } | null };
    return _handle ? [_handle.fd] : [];
  }

  open(): void {
    this.held?.open((socket) => this.accept(socket));
    this.held = undefined;
  }

  /** Closes the listening socket; connections go on. */
  unlisten(): void {
    this.held?.drop();
    this.held = undefined;
    this.server?.close();
    this.server = undefined;
  }

  /** Resets whatever is still open. */
  close(): void {
    this.unlisten();
    for (const [socket, secured] of this.sockets) {
      if (secured !== undefined) resetTls(secured, socket);
      else if (this.handshakes !== undefined) closeHandshake(socket);
      else reset(socket);
    }
  }

  private accept(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress);
    const expectation = this.proxyProtocol?.expect(address) ?? 'skip';
    this.sockets.set(socket, undefined);
    socket.once('close', () => this.sockets.delete(socket));
    if (this.proxyProtocol === undefined || expectation === 'skip') return this.admit(socket, address);
    const refused = (refusal: HeaderRefusal): void => this.context.refused(`proxy-${refusal}`);
    if (expectation === 'refuse' || this.owing >= MAX_HEADERS) {
      socket.on('error', () => undefined).resetAndDestroy();
      return refused(expectation === 'refuse' ? 'untrusted' : 'too-many');
    }
    this.owing++;
    readHeader(socket, {
      expectation,
      timeoutMs: this.proxyProtocol.timeoutMs,
      refused: (refusal) => {
        this.owing--;
        refused(refusal);
      },
      left: () => this.owing--,
      done: (header) => {
        this.owing--;
        this.admit(socket, header?.source?.address ?? address);
      },
    });
  }

  private admit(socket: Socket, address: string): void {
    if (!this.context.admit(address)) {
      socket.on('error', () => undefined).resetAndDestroy();
      return;
    }
    this.carried.add(socket);
    socket.once('close', () => this.context.left(address));
    if (this.handshakes === undefined) this.begin(socket, { address, tls: undefined });
    else this.secure(socket, address, this.handshakes);
  }

  private secure(socket: Socket, address: string, handshakes: Handshakes): void {
    const refuse = (reason: string): void => {
      this.context.refused(reason);
      closeHandshake(socket);
    };
    if (!this.slots.take(socket, address)) return refuse('tls-busy');
    socket.once('close', () => this.slots.release(socket));
    const late = setTimeout(() => refuse('tls-failed'), this.context.headTimeoutMs);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => clearTimeout(late));
    handshakes.begin(socket, {
      done: (secured: TLSSocket) => {
        clearTimeout(late);
        this.sockets.set(socket, secured);
        this.begin(secured, { address, tls: describe(secured) });
      },
      failed: () => refuse('tls-failed'),
    });
  }

  private begin(socket: Socket, peer: HttpPeer): void {
    this.onConnection(socket, peer);
    socket.resume(); // behind a PROXY protocol header it is paused
  }
}
