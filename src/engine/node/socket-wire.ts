import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { EndCause, Link, PeerTls, Target, TargetTls, Wire, WireEvents } from '../../connection/wire.ts';
import { ADDRESS_PATIENCE_MS, AddressWalks } from '../address-walks.ts';
import { type EngineOptions, LINK_LINGER_MS } from '../engine.ts';
import { ByteCounts } from './byte-counts.ts';
import { dialTcp, giveUpAfter } from './dial.ts';
import { describe, type Handshakes } from './handshakes.ts';
import { hearOut } from './last-words.ts';
import { type Links, reasonOf } from './links.ts';
import { causeOf, closeHandshake, hasPeer, reset, resetError, resetTls, wasReset } from './reset.ts';
import { copyOf, whenDrained } from './sending.ts';
import { guarded } from './steps.ts';

/** The wire of one connection over `node:net` sockets. */
export class SocketWire implements Wire {
  /** What was accepted; resets go there, because a TLS socket knows none. */
  private readonly accepted: Socket;
  private device: Socket;
  private secured: TLSSocket | undefined;
  private knownTls: PeerTls | undefined;
  /** What waits for the end of the handshake; undefined without one, or behind it. */
  private early: { readonly chunks: Buffer[]; end: boolean } | undefined;
  private readonly options: EngineOptions;
  private readonly tlsLinks: Links;
  private readonly onClosed: (wire: SocketWire) => void;
  private readonly headerBytes: number;
  private conversation: WireEvents | undefined;
  /** Links by number; nearly always one. An ended link is removed here, which fences its late events. */
  private readonly links = new Map<Link, Socket>();
  /** Those that were told to be open. */
  private readonly opened = new WeakSet<Socket>();
  /** What carries the TLS sockets among them; resets go there, too. */
  private readonly carrierOf = new WeakMap<Socket, Socket>();
  /** Links that are left and not yet closed. */
  private readonly left = new Set<Socket>();
  private nextLink: Link = 0;
  /** Links that are dialled to nodes of several addresses. */
  private walks: AddressWalks | undefined;
  private spliced: Socket | undefined;
  private openSockets = 1;
  private timeout: NodeJS.Timeout | undefined;
  number = 0;
  private readonly bytes: ByteCounts;
  private deviceHeld = false;
  /** Links that the connection does not want to be read; hardly ever any. */
  private readonly heldLinks = new Set<Link>();
  private deviceEndTold = false;
  /** `endDevice` was called, or the socket is closed. */
  private deviceDone = false;
  private unsent = 0; // what sides that were ended had not taken when that was asked last
  /** The spliced link is closed while the device is not: what the device still sends is discarded. */
  private nodeGone = false;

  /** `headerBytes` came before the device's own. */
  constructor(
    device: Socket,
    options: EngineOptions,
    tlsLinks: Links,
    onClosed: (wire: SocketWire) => void,
    headerBytes: number,
  ) {
    this.headerBytes = headerBytes;
    this.accepted = device;
    this.device = device;
    this.options = options;
    this.bytes = new ByteCounts(options.traffic);
    this.tlsLinks = tlsLinks;
    this.onClosed = onClosed;
  }

  start(conversation: WireEvents, handshakes?: Handshakes): void {
    this.conversation = conversation;
    if (handshakes === undefined) {
      this.attach(this.device);
      if (!this.deviceHeld) this.device.resume();
    } else this.shakeHands(handshakes);
  }

  private shakeHands(handshakes: Handshakes): void {
    this.early = { chunks: [], end: false };
    this.accepted.on('error', () => undefined); // `close` follows
    this.accepted.on('close', () => {
      if (this.secured === undefined) this.guard(() => this.deviceClosed());
    });
    handshakes.begin(this.accepted, {
      done: (socket) => this.guard(() => this.secure(socket)),
      failed: (cause) => this.guard(() => this.deviceEnd(cause)),
    });
  }

  private secure(socket: TLSSocket): void {
    const { early } = this;
    this.early = undefined;
    this.secured = socket;
    this.attach(socket);
    if (this.deviceHeld) socket.pause();
    for (const chunk of early?.chunks ?? []) socket.write(chunk);
    if (early?.end) socket.end();
    this.resumeLinks();
  }

  /** What TLS has settled with the device, once it has. */
  get tls(): PeerTls | undefined {
    if (this.secured !== undefined && !this.secured.destroyed) this.knownTls ??= describe(this.secured);
    return this.knownTls;
  }

  private attach(device: Socket): void {
    this.device = device;
    hearOut(device);
    device.on('data', (chunk: Buffer) => this.guard(() => this.deviceReadable(chunk)));
    device.on('end', () => {
      if (wasReset(device)) device.destroy(resetError());
      else this.guard(() => this.deviceEnd('fin'));
    });
    device.on('drain', () => this.resumeLinks());
    device.on('error', (error) => this.guard(() => this.deviceEnd(causeOf(error))));
    device.on('close', () => this.guard(() => this.deviceClosed()));
  }

  private deviceReadable(chunk: Buffer): void {
    this.bytes.add(0, chunk.length);
    if (this.deviceDone || this.nodeGone) return; // nobody is left to take it
    if (this.spliced === undefined) return this.conversation?.deviceData(chunk, 0, chunk.length);
    if (!this.spliced.write(chunk)) this.device.pause();
  }

  private deviceEnd(cause: EndCause): void {
    if (this.deviceDone) return;
    if (this.spliced !== undefined) {
      if (cause === 'fin') this.spliced.end();
      else this.resetLink(this.spliced); // also behind a FIN: nobody is left to read what the node says
    }
    if (this.deviceEndTold) return;
    this.deviceEndTold = true;
    this.conversation?.deviceEnded(cause);
  }

  private deviceClosed(): void {
    if (!this.deviceEndTold) this.deviceEnd('reset');
    this.deviceDone = true;
    if (this.spliced === undefined) this.resumeLinks(); // they may have waited for it to drain
    this.socketClosed();
  }

  toDevice(bytes: Uint8Array, start: number, end: number): void {
    if (this.deviceDone || end === start || this.device.writableEnded) return;
    if (!this.writeDevice(copyOf(bytes, start, end))) for (const link of this.links.values()) link.pause();
  }

  /** False where its source is to wait. */
  private writeDevice(chunk: Buffer): boolean {
    this.bytes.add(1, chunk.length);
    if (this.early === undefined) return this.device.write(chunk);
    this.early.chunks.push(chunk);
    return false;
  }

  finishDevice(): void {
    if (this.early === undefined) this.device.end();
    else this.early.end = true;
  }

  toNode(link: Link, bytes: Uint8Array, start: number, end: number): void {
    const socket = this.links.get(link);
    if (socket === undefined || end === start || socket.writableEnded) return;
    if (!socket.write(copyOf(bytes, start, end))) this.device.pause();
  }

  dial(target: Target): Link {
    const link = this.nextLink++;
    if (target.addresses !== undefined) this.walks ??= new AddressWalks();
    this.dialAt(link, this.walks?.begin(link, target) ?? target);
    return link;
  }

  private dialAt(link: Link, target: Target): void {
    const { header, tls } = target;
    const socket = dialTcp(target, this.options.highWaterBytes);
    this.openSockets++;
    if (this.walks?.has(link)) giveUpAfter(ADDRESS_PATIENCE_MS, socket);
    socket.once('connect', () => {
      this.walks?.reached(link);
      if (header !== undefined) socket.write(header);
    });
    if (tls === undefined) this.follow(link, socket, 'connect');
    else this.dialTls(link, socket, tls);
  }

  /** The node's next address has its turn, where there is one. */
  private dialFailed(link: Link, error: Error): void {
    if (!this.links.delete(link)) return;
    const next = this.walks?.next(link);
    if (next === undefined) this.conversation?.linkFailed(link, reasonOf(error));
    else this.dialAt(link, next);
  }

  /** TCP first; from the handshake on the link is the TLS socket. */
  private dialTls(link: Link, socket: Socket, tls: TargetTls): void {
    this.links.set(link, socket);
    const failed = (error: Error): void => this.guard(() => this.dialFailed(link, error));
    const closed = (): void => this.guard(() => this.socketClosed());
    socket.on('error', failed).on('close', closed);
    socket.once('connect', () => {
      try {
        const secured = this.tlsLinks.secure(socket, tls);
        socket.off('close', closed);
        this.carrierOf.set(secured, socket);
        this.follow(link, secured, 'secureConnect');
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
  }

  private follow(link: Link, socket: Socket, opening: 'connect' | 'secureConnect'): void {
    this.links.set(link, socket);
    let endTold = false;
    const current = (): boolean => this.links.get(link) === socket;
    hearOut(socket);
    const ended = (cause: EndCause): void => {
      if (endTold || !current()) return;
      endTold = true;
      if (this.spliced === socket) this.finishDevice();
      this.conversation?.linkEnded(link, cause);
    };
    socket.on(opening, () => {
      this.opened.add(socket);
      if (current()) this.guard(() => this.conversation?.linkOpened(link));
    });
    socket.on('data', (chunk: Buffer) => {
      if (this.spliced === socket) {
        if (!this.writeDevice(chunk)) socket.pause();
      } else if (current()) this.guard(() => this.conversation?.linkData(link, chunk, 0, chunk.length));
    });
    socket.on('drain', () => this.resumeDevice());
    socket.on('end', () => {
      if (wasReset(socket)) socket.destroy(resetError());
      else this.guard(() => ended('fin'));
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      this.guard(() => {
        if (this.opened.has(socket)) return ended(causeOf(error));
        if (current()) this.dialFailed(link, error);
      }),
    );
    socket.on('close', () =>
      this.guard(() => {
        if (this.opened.has(socket)) ended('reset');
        if (this.spliced === socket) this.nodeGone = true;
        if (current()) this.links.delete(link);
        this.left.delete(socket);
        this.resumeDevice();
        this.socketClosed();
      }),
    );
  }

  splice(link: Link): void {
    this.spliced = this.links.get(link);
    if (this.spliced === undefined || !this.deviceEndTold) return;
    this.spliced.end();
  }

  isDeviceBehind(): boolean {
    return this.device.writableNeedDrain;
  }

  stillTakes(): boolean {
    const before = this.unsent;
    this.unsent = 0;
    for (const side of [this.device, ...this.links.values()])
      if (side.writableEnded) this.unsent += side.writableLength;
    return this.unsent > 0 && this.unsent !== before;
  }

  holdDevice(hold: boolean): void {
    if (this.deviceDone) return; // it is read until it closes
    this.deviceHeld = hold;
    if (hold && this.early === undefined) this.device.pause();
    else if (!hold) this.resumeDevice();
  }

  holdNode(link: Link, hold: boolean): void {
    if (hold) this.heldLinks.add(link);
    else this.heldLinks.delete(link);
    if (hold) this.links.get(link)?.pause();
    else if (!this.device.writableNeedDrain && this.early === undefined) this.links.get(link)?.resume();
  }

  nextTurn(task: () => void, link: Link = -1): void {
    const socket = this.links.get(link);
    if (socket?.writableNeedDrain) return whenDrained(socket, () => this.nextTurn(task));
    setImmediate(() => {
      if (this.openSockets > 0) this.guard(task);
    });
  }

  private resumeDevice(): void {
    if (this.deviceHeld || this.early !== undefined) return;
    for (const link of this.links.values()) if (link.writableNeedDrain) return;
    this.device.resume();
  }

  private resumeLinks(): void {
    for (const [number, link] of this.links) if (!this.heldLinks.has(number)) link.resume();
  }

  endDevice(how: 'flush' | 'reset'): void {
    this.deviceDone = true;
    if (how === 'reset' || this.early !== undefined) {
      if (this.early !== undefined) closeHandshake(this.accepted);
      else if (this.secured === undefined) reset(this.accepted);
      else resetTls(this.secured, this.accepted);
      return;
    }
    this.device.end();
    this.device.resume();
  }

  finishNode(link: Link): void {
    const socket = this.links.get(link);
    if (socket !== undefined && this.opened.has(socket)) socket.end();
  }

  endNode(link: Link, how: 'flush' | 'reset', closed?: () => void): void {
    const socket = this.links.get(link);
    if (socket === undefined) return closed?.();
    this.links.delete(link);
    this.heldLinks.delete(link);
    this.walks?.forget(link);
    if (this.spliced === socket) this.spliced = undefined;
    if (how === 'reset' || !this.opened.has(socket) || socket.destroyed) {
      this.resetLink(socket);
      closed?.();
    } else this.leave(socket, closed);
    this.resumeDevice(); // it may have waited for this link to drain
  }

  private resetLink(socket: Socket): void {
    const forwarder = this.carrierOf.get(socket);
    if (forwarder === undefined) reset(socket);
    else resetTls(socket, forwarder);
  }

  /** The node is heard out, so that no reset overtakes what it was told last. */
  private leave(socket: Socket, closed?: () => void): void {
    this.left.add(socket);
    if (closed !== undefined) socket.prependOnceListener('close', closed); // before the connection itself is told
    socket.end();
    socket.resume();
    const late = setTimeout(() => this.resetLink(socket), this.options.linkLingerMs ?? LINK_LINGER_MS);
    socket.once('close', () => clearTimeout(late));
  }

  numbered(connection: number): void {
    this.number = connection;
  }

  countAt(place: number): void {
    this.bytes.countAt(place);
  }

  setTimer(ms: number): void {
    clearTimeout(this.timeout);
    this.timeout = ms > 0 ? setTimeout(() => this.guard(() => this.conversation?.timer()), ms) : undefined;
  }

  /** `node:net` does not poll a paused socket, so a reset behind bytes that nobody takes must be looked for. */
  glance(): void {
    const { device } = this;
    if (!device.isPaused() || device.destroyed || hasPeer(device)) return;
    this.guard(() => device.destroy(resetError()));
  }

  /** Resets every socket at once; `closed` is told as ever. */
  abort(): void {
    for (const link of [...this.links.keys()]) this.endNode(link, 'reset');
    for (const socket of this.left) socket.destroy();
    this.endDevice('reset');
  }

  private socketClosed(): void {
    if (--this.openSockets > 0) return;
    clearTimeout(this.timeout);
    try {
      const wasOpen = this.early === undefined;
      const ahead = this.secured === undefined ? this.headerBytes : 0;
      const [read, written] = wasOpen ? [this.device.bytesRead - ahead, this.device.bytesWritten] : [0, 0];
      this.conversation?.closed(read, written);
    } finally {
      this.onClosed(this);
    }
  }

  guard<T>(step: () => T): T | undefined {
    return guarded(this, this.options, step);
  }
}
