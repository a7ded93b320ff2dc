import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../base/time.ts';
import type { Peer, PeerTls, TargetTls } from '../../connection/wire.ts';
import type { IpSource } from '../../protocol/address/ip.ts';
import type { Endpoint } from '../../protocol/proxy-protocol/header.ts';
import { HandshakeSlots } from '../handshake-slots.ts';
import { commonName, type TlsOptions, type UpstreamTls } from '../tls.ts';
import { EAGAIN, ECONNRESET, EPROTO, type Libc, type Pinned } from './libc.ts';
import {
  loadOpenSsl,
  type OpenSsl,
  SSL_ERROR_SSL,
  SSL_ERROR_SYSCALL,
  SSL_ERROR_WANT_READ,
  SSL_ERROR_WANT_WRITE,
  SSL_ERROR_ZERO_RETURN,
} from './openssl.ts';
import { DEVICE, HANDSHAKING, type SocketFlags, type SocketStates } from './socket-state.ts';
import type { SocketTable } from './socket-table.ts';
import { TlsContexts } from './tls-contexts.ts';
import { createTlsLinks, type TlsLinks } from './tls-links.ts';

/**
 * The TLS sessions of one thread, by fd. Results are those of recv(2) and send(2), errors as negative errnos: EAGAIN
 * waits for the socket, EPROTO is a breach of TLS, of which the peer was told by an alert.
 */
export class TlsSessions {
  /** Of devices, by fd. */
  private readonly slots: HandshakeSlots<number>;
  private readonly libc: Libc;
  private readonly states: SocketStates;
  private readonly flags: SocketFlags;
  private readonly generation: Uint32Array;
  private readonly sessions: Float64Array;
  private readonly out: Pinned;
  private loaded: { readonly contexts: TlsContexts; readonly links: TlsLinks } | undefined;
  private failureText = '';
  private ssl = undefined as unknown as OpenSsl; // there is a session, so OpenSSL is loaded

  /** @param giveWay resets a device whose handshake must make room for another's */
  constructor(
    libc: Libc,
    table: SocketTable,
    { maxHandshakes, clock }: { readonly maxHandshakes: number; readonly clock: Clock },
    giveWay: (fd: number) => void,
  ) {
    this.libc = libc;
    this.slots = new HandshakeSlots(maxHandshakes, clock, giveWay);
    this.states = table.states;
    this.flags = table.flags;
    this.generation = table.generation;
    this.sessions = new Float64Array(table.capacity);
    this.out = libc.pin(16);
  }

  /** @throws BreakwaterError TLS_INVALID, ENGINE_UNAVAILABLE */
  configure(listenerIndex: number, tls: TlsOptions): void {
    this.load().contexts.set(listenerIndex, tls);
  }

  /** @throws BreakwaterError TLS_INVALID, ENGINE_UNAVAILABLE */
  configureLinks(pool: number, tls: UpstreamTls | undefined): void {
    if (tls === undefined) this.loaded?.links.drop(pool);
    else this.load().links.set(pool, tls);
  }

  private load() {
    if (this.loaded === undefined) {
      const { libc } = this;
      this.ssl = loadOpenSsl();
      this.loaded = { contexts: new TlsContexts(libc, this.ssl), links: createTlsLinks(libc, this.ssl) };
    }
    return this.loaded;
  }

  /** The listener's next handshakes would be none: it is plain from now on. Sessions go on. */
  forget(listenerIndex: number): void {
    this.loaded?.contexts.drop(listenerIndex);
  }

  isFor(listenerIndex: number): boolean {
    return this.loaded !== undefined && this.loaded.contexts.of(listenerIndex) !== 0;
  }

  /** Is there room for the handshake of one more device? Then `open` follows. */
  admits(fd: number, source: IpSource): boolean {
    return this.slots.take(fd, source);
  }

  /** Begins a session on an accepted socket. False where memory is out. */
  open(fd: number, listenerIndex: number): boolean {
    const { ssl } = this;
    const session = ssl.open(this.loaded?.contexts.of(listenerIndex) ?? 0);
    if (session === 0) {
      ssl.clearErrors();
      this.slots.release(fd);
      return false;
    }
    this.begin(fd, session);
    return true;
  }

  /** Begins a session on a connected link. @throws BreakwaterError TLS_INVALID, ENGINE_UNAVAILABLE, INTERNAL */
  openLink(fd: number, target: TargetTls): void {
    this.begin(fd, this.load().links.open(target));
  }

  private begin(fd: number, session: number): void {
    this.sessions[fd] = session;
    this.states.beginTls(fd);
    this.ssl.setFd(session, fd);
  }

  /** Ends a session without a word. */
  free(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & (HANDSHAKING | DEVICE)) === (HANDSHAKING | DEVICE)) this.slots.release(fd);
    this.states.dropTls(fd);
    this.ssl.free(this.sessions[fd] as number);
    this.sessions[fd] = 0;
  }

  /** 1 when the handshake is done. */
  handshake(fd: number): number {
    const { ssl } = this;
    const session = this.sessions[fd] as number;
    const isDevice = ((this.flags[fd] as number) & DEVICE) !== 0;
    const result = isDevice ? ssl.accept(session) : ssl.connect(session);
    if (result !== 1) return this.failure(fd, session, result, SSL_ERROR_WANT_WRITE) || -ECONNRESET;
    if (isDevice) this.slots.release(fd);
    this.states.endHandshake(fd);
    return 1;
  }

  /** Why a handshake that has just failed with EPROTO did. */
  whyRefused(fd: number): string {
    const problem = this.ssl.certificateProblem(this.sessions[fd] as number);
    return problem === null ? this.failureText : `certificate verify failed: ${problem}`;
  }

  read(fd: number, address: number, length: number): number {
    const session = this.sessions[fd] as number;
    const got = this.ssl.read(session, address, length);
    return got > 0 ? got : this.failure(fd, session, got, SSL_ERROR_WANT_WRITE);
  }

  /** Takes what the socket has room for, record by record. What it did not take must be offered again, and first. */
  write(fd: number, address: number, length: number): number {
    if (((this.flags[fd] as number) & HANDSHAKING) !== 0) return -EAGAIN;
    const session = this.sessions[fd] as number;
    let sent = 0;
    while (sent < length) {
      const taken = this.ssl.write(session, address + sent, length - sent);
      if (taken <= 0) {
        const failure = this.failure(fd, session, taken, SSL_ERROR_WANT_READ);
        return sent > 0 ? sent : failure || -ECONNRESET;
      }
      sent += taken;
    }
    return sent;
  }

  /** Says that nothing more will be sent. False where that must wait: for room, or for the handshake. */
  closeNotify(fd: number): boolean {
    if (((this.flags[fd] as number) & HANDSHAKING) !== 0) return false;
    const session = this.sessions[fd] as number;
    const result = this.ssl.shutdown(session);
    if (result >= 0) return true;
    return this.failure(fd, session, result, SSL_ERROR_WANT_WRITE) !== -EAGAIN;
  }

  /** @param crossed the direction that is not the call's own, so that any event must try it again */
  private failure(fd: number, session: number, result: number, crossed: number): number {
    const { ssl } = this;
    const error = ssl.errorOf(session, result);
    if (error === crossed) this.states.awaitRetry(fd);
    if (error === SSL_ERROR_WANT_READ || error === SSL_ERROR_WANT_WRITE) return -EAGAIN;
    const errno = error === SSL_ERROR_SYSCALL ? ssl.errno() : 0;
    if (error === SSL_ERROR_SSL) this.failureText = ssl.takeError();
    ssl.clearErrors();
    if (error === SSL_ERROR_ZERO_RETURN) return 0;
    return error === SSL_ERROR_SYSCALL ? -(errno || ECONNRESET) : -EPROTO;
  }

  /** The peer with what TLS has settled, which is looked up when somebody asks. */
  peer(fd: number, peer: Peer): Peer {
    const generation = this.generation[fd];
    const describe = (): PeerTls | undefined => {
      const isOpen = this.generation[fd] === generation && this.sessions[fd] !== 0;
      return isOpen && ((this.flags[fd] as number) & HANDSHAKING) === 0 ? this.describe(fd) : undefined;
    };
    return new TlsPeer(peer, describe);
  }

  private describe(fd: number): PeerTls {
    const { ssl } = this;
    const session = this.sessions[fd] as number;
    return {
      version: ssl.version(session) as PeerTls['version'],
      cipher: ssl.cipher(session),
      serverName: ssl.serverName(session) ?? undefined,
      alpn: this.alpnOf(session),
      clientCertificateCn: this.clientCn(session),
    };
  }

  private alpnOf(session: number): string | undefined {
    const { ssl, out } = this;
    ssl.alpn(session, out.address, out.address + 8);
    const length = out.bytes.readUInt32LE(8);
    return length === 0
      ? undefined
      : this.bytesAt(Number(out.bytes.readBigUInt64LE(0)), length).toString('latin1');
  }

  private clientCn(session: number): string | undefined {
    const { ssl, out } = this;
    const certificate = ssl.peerCertificate(session);
    if (certificate === 0) return undefined;
    const der = this.libc.pin(Math.max(0, ssl.encodeCertificate(certificate, 0)));
    out.bytes.writeBigUInt64LE(BigInt(der.address), 0);
    ssl.encodeCertificate(certificate, out.address);
    ssl.freeCertificate(certificate);
    return commonName(new X509Certificate(der.bytes));
  }

  private bytesAt(address: number, length: number): Buffer {
    const memory = this.libc.pin(length);
    this.ssl.copy(memory.address, address, length);
    return memory.bytes;
  }

  /** The thread ends, and its sockets are closed by others: what OpenSSL keeps for them is no part of its heap. */
  leave(): void {
    for (const session of this.sessions) if (session !== 0) this.ssl.free(session);
    this.close();
  }

  close(): void {
    this.loaded?.contexts.close();
    this.loaded?.links.close();
    this.loaded = undefined;
  }
}

class TlsPeer implements Peer {
  private readonly peer: Peer;
  private readonly describe: () => PeerTls | undefined;
  private known: PeerTls | undefined;

  constructor(peer: Peer, describe: () => PeerTls | undefined) {
    this.peer = peer;
    this.describe = describe;
  }

  get remoteAddress(): string {
    return this.peer.remoteAddress;
  }

  get remotePort(): number {
    return this.peer.remotePort;
  }

  get destination(): Endpoint | undefined {
    return this.peer.destination;
  }

  get tls(): PeerTls | undefined {
    this.known ??= this.describe();
    return this.known;
  }
}
