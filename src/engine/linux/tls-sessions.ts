import type { Clock } from '../../base/time.ts';
import type { Peer, TargetTls } from '../../connection/wire.ts';
import type { IpSource } from '../../protocol/address/ip.ts';
import { HandshakeSlots } from '../handshake-slots.ts';
import { ownsRecords, type TlsOptions, type UpstreamTls } from '../tls.ts';
import { createHmac } from './evp.ts';
import { HandshakeInput, INPUT_BYTES } from './handshake-input.ts';
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
import { DEVICE, ENDING, HANDSHAKING, RETRY, type SocketFlags, type SocketStates } from './socket-state.ts';
import type { SocketTable } from './socket-table.ts';
import { TlsContexts } from './tls-contexts.ts';
import { TlsFacts, TlsPeer } from './tls-facts.ts';
import { createTlsLinks, type TlsLinks } from './tls-links.ts';
import { TlsRecords } from './tls-records.ts';
import { SecretsTaker, type TakenHandshake } from './tls-secrets.ts';
import { findTlsFault, tlsUnavailable, tryAead } from './tls-support.ts';

/** What is there once a listener, or a pool, speaks TLS. */
interface Loaded {
  readonly contexts: TlsContexts;
  readonly links: TlsLinks;
  readonly facts: TlsFacts;
  readonly taker: SecretsTaker;
  readonly input: HandshakeInput;
}

/**
 * The TLS sessions of one thread, by fd. OpenSSL shakes hands. Behind it records are our own (`tls-records.ts`), and the SSL
 * object is freed; where the configuration says so, or the suite is none of ours, OpenSSL goes on.
 *
 * Results are those of recv(2) and send(2), errors as negative errnos: EAGAIN waits for the socket, EPROTO is a breach of
 * TLS, of which the peer was told by an alert.
 */
export class TlsSessions {
  /** Of devices, by fd. */
  private readonly slots: HandshakeSlots<number>;
  private readonly libc: Libc;
  private readonly table: SocketTable;
  private readonly states: SocketStates;
  private readonly flags: SocketFlags;
  private readonly sessions: Float64Array;
  /** Handshakes in progress: of devices, and those behind which records are our own. */
  private readonly peers = new Map<number, TlsPeer>();
  private readonly taken = new Map<number, TakenHandshake>();
  /** Sessions with which OpenSSL goes on, and that still read what has come with their handshake. */
  private readonly fed = new Set<number>();
  private readonly readBytes: number;
  private watchRoom: ((fd: number) => void) | undefined;
  private loaded: Loaded | undefined;
  private records: TlsRecords | undefined;
  /** OpenSSL's ciphers do not do what records of our own ask of them: it keeps all records. */
  private hasNoRecords = false;
  private failureText = '';
  private ssl = undefined as unknown as OpenSsl; // there is a session, so OpenSSL is loaded

  /** @param giveWay resets a device whose handshake must make room for another's */
  constructor(
    libc: Libc,
    table: SocketTable,
    {
      maxHandshakes,
      clock,
      readBytes,
    }: { readonly maxHandshakes: number; readonly clock: Clock; readonly readBytes: number },
    giveWay: (fd: number) => void,
  ) {
    this.libc = libc;
    this.slots = new HandshakeSlots(maxHandshakes, clock, giveWay);
    this.states = table.states;
    this.flags = table.flags;
    this.sessions = new Float64Array(table.capacity);
    this.table = table;
    this.readBytes = readBytes;
  }

  /** Has a driver be told of a session that waits for room, if it does not watch for that all the time. */
  onAwaitRoom(watchRoom: (fd: number) => void): void {
    this.watchRoom = watchRoom;
  }

  /** Any event is to try both ways again. */
  private awaitRoom(fd: number): void {
    this.states.awaitRetry(fd);
    this.watchRoom?.(fd);
  }

  /** @throws BreakwaterError TLS_INVALID, ENGINE_UNAVAILABLE */
  configure(listenerIndex: number, tls: TlsOptions): void {
    if (ownsRecords(tls)) this.loadRecords();
    this.load().contexts.set(listenerIndex, tls);
  }

  /** @throws BreakwaterError TLS_INVALID, ENGINE_UNAVAILABLE */
  configureLinks(pool: number, tls: UpstreamTls | undefined): void {
    if (tls !== undefined && ownsRecords(tls)) this.loadRecords();
    if (tls === undefined) this.loaded?.links.drop(pool);
    else this.load().links.set(pool, tls);
  }

  /** @throws BreakwaterError ENGINE_UNAVAILABLE where there is no OpenSSL */
  private load(): Loaded {
    if (this.loaded !== undefined) return this.loaded;
    const { libc } = this;
    const fault = findTlsFault();
    if (fault !== undefined) throw tlsUnavailable(fault);
    const ssl = loadOpenSsl();
    const stateOf = (fd: number) => (this.records as TlsRecords).of(fd);
    const taker = new SecretsTaker(libc, ssl, createHmac(libc), stateOf);
    this.ssl = ssl;
    this.loaded = {
      taker,
      input: new HandshakeInput(libc),
      contexts: new TlsContexts(libc, ssl, taker),
      links: createTlsLinks(libc, ssl),
      facts: new TlsFacts(libc, ssl, (cipher) => this.records?.supports(cipher) === true),
    };
    return this.loaded;
  }

  /** Undefined where OpenSSL keeps the records, whatever the configuration says (`findRecordsFault`). */
  private loadRecords(): TlsRecords | undefined {
    if (this.records !== undefined || this.hasNoRecords) return this.records;
    const { libc, table, readBytes } = this;
    const awaitRoom = (fd: number): void => this.awaitRoom(fd);
    const aead = tryAead(libc);
    if (typeof aead === 'string') this.hasNoRecords = true;
    else this.records = new TlsRecords(libc, table, aead, createHmac(libc), readBytes, awaitRoom);
    return this.records;
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
    this.begin(fd, session, this.loaded?.contexts.hasOwnRecords(listenerIndex) === true);
    return true;
  }

  /** Begins a session on a connected link. @throws BreakwaterError TLS_INVALID, ENGINE_UNAVAILABLE, INTERNAL */
  openLink(fd: number, target: TargetTls): void {
    const { links } = this.load();
    const session = links.open(target);
    this.begin(fd, session, links.hasOwnRecords(target.pool));
  }

  private begin(fd: number, session: number, hasOwnRecords: boolean): void {
    this.sessions[fd] = session;
    this.states.beginTls(fd);
    const records = hasOwnRecords ? this.loadRecords() : undefined;
    if (records === undefined) {
      this.ssl.setFd(session, fd);
      return;
    }
    const { taker, input } = this.loaded as Loaded;
    records.begin(fd);
    const isClient = ((this.flags[fd] as number) & DEVICE) === 0;
    this.taken.set(fd, taker.begin(fd, isClient, input.begin(session, fd)));
  }

  /** Ends a session without a word. */
  free(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & (HANDSHAKING | DEVICE)) === (HANDSHAKING | DEVICE)) this.slots.release(fd);
    this.states.dropTls(fd);
    this.peers.delete(fd);
    this.taken.delete(fd);
    this.fed.delete(fd);
    if (this.records?.has(fd) === true) this.records.free(fd);
    if (this.sessions[fd] !== 0) this.freeSession(fd);
  }

  private freeSession(fd: number): void {
    this.ssl.free(this.sessions[fd] as number);
    this.sessions[fd] = 0;
  }

  /** 1 when the handshake is done. */
  handshake(fd: number): number {
    const { ssl } = this;
    const session = this.sessions[fd] as number;
    const isDevice = ((this.flags[fd] as number) & DEVICE) !== 0;
    const run = isDevice ? ssl.accept : ssl.connect;
    const handshake = this.taken.get(fd);
    const result =
      handshake === undefined
        ? this.outcome(fd, session, run(session))
        : this.steps(fd, session, handshake, run);
    if (result !== 1) return result;
    if (isDevice) this.slots.release(fd);
    this.states.endHandshake(fd);
    this.settle(fd, session);
    return 1;
  }

  /** Steps of a handshake that is read from memory, as long as something has come for it. */
  private steps(
    fd: number,
    session: number,
    handshake: TakenHandshake,
    run: (session: number) => number,
  ): number {
    const { taker, input } = this.loaded as Loaded;
    let got = handshake.isBlocked ? input.left(handshake.input) : 0;
    if (got === 0) got = input.receive(handshake.input, fd);
    for (;;) {
      const result = this.outcome(fd, session, taker.step(handshake, session, run));
      handshake.isBlocked = result === -EAGAIN && ((this.flags[fd] as number) & RETRY) !== 0;
      // A short read has emptied the socket (epoll(7)), unless an end is still to be read.
      const isDry = got > 0 && got < INPUT_BYTES && ((this.flags[fd] as number) & ENDING) === 0;
      if (result === 1 && isDry && input.left(handshake.input) === 0) this.states.readDry(fd);
      if (result !== -EAGAIN || handshake.isBlocked || isDry) return result;
      if (got > 0) got = input.receive(handshake.input, fd);
      if (got <= 0) return got || -ECONNRESET;
    }
  }

  private outcome(fd: number, session: number, result: number): number {
    return result === 1 ? 1 : this.failure(fd, session, result, SSL_ERROR_WANT_WRITE) || -ECONNRESET;
  }

  /** The handshake is done: who goes on with the session? */
  private settle(fd: number, session: number): void {
    const { facts, taker, input } = this.loaded as Loaded;
    const suite = facts.suiteOf(session);
    const peer = this.peers.get(fd);
    if (peer !== undefined) peer.tls = facts.of(session, suite);
    this.peers.delete(fd);
    const handshake = this.taken.get(fd);
    if (handshake === undefined) {
      if (this.hasNoRecords) this.ssl.goOn(session);
      return;
    }
    this.taken.delete(fd);
    if (taker.establish(session, handshake, suite)) {
      this.records?.receive(fd, input.takeRest(handshake.input));
      this.freeSession(fd);
    } else {
      this.records?.free(fd);
      this.ssl.goOn(session);
      if (!input.end(session, fd)) this.fed.add(fd);
    }
  }

  /** Why a handshake that has just failed with EPROTO did. */
  whyRefused(fd: number): string {
    const problem = this.ssl.certificateProblem(this.sessions[fd] as number);
    return problem === null ? this.failureText : `certificate verify failed: ${problem}`;
  }

  /** Data in `to`, `readBytes` at the most or one record. */
  read(fd: number, to: Pinned): number {
    const session = this.sessions[fd] as number;
    if (session === 0) return (this.records as TlsRecords).read(fd, to);
    const got = this.ssl.read(session, to.address, this.readBytes);
    if (got > 0) return got;
    const failure = this.failure(fd, session, got, SSL_ERROR_WANT_WRITE);
    if (failure !== -EAGAIN || this.fed.size === 0 || !this.fed.has(fd)) return failure;
    if (this.loaded?.input.end(session, fd) === true) this.fed.delete(fd);
    return this.read(fd, to);
  }

  /** Takes what the socket has room for, record by record. What it did not take must be offered again, and first. */
  write(fd: number, address: number, length: number): number {
    if (((this.flags[fd] as number) & HANDSHAKING) !== 0) return -EAGAIN;
    const session = this.sessions[fd] as number;
    if (session === 0) return (this.records as TlsRecords).write(fd, address, length);
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
    if (session === 0) return (this.records as TlsRecords).closeNotify(fd);
    const result = this.ssl.shutdown(session);
    if (result >= 0) return true;
    return this.failure(fd, session, result, SSL_ERROR_WANT_WRITE) !== -EAGAIN;
  }

  /** @param crossed the direction that is not the call's own, so that any event must try it again */
  private failure(fd: number, session: number, result: number, crossed: number): number {
    const { ssl } = this;
    const error = ssl.errorOf(session, result);
    if (error === crossed) this.awaitRoom(fd);
    if (error === SSL_ERROR_WANT_READ || error === SSL_ERROR_WANT_WRITE) return -EAGAIN;
    const errno = error === SSL_ERROR_SYSCALL ? ssl.errno() : 0;
    if (error === SSL_ERROR_SSL) this.failureText = ssl.takeError();
    ssl.clearErrors();
    if (error === SSL_ERROR_ZERO_RETURN) return 0;
    return error === SSL_ERROR_SYSCALL ? -(errno || ECONNRESET) : -EPROTO;
  }

  /** The device, with what TLS will have settled when its handshake is done. */
  peer(fd: number, peer: Peer): Peer {
    const known = new TlsPeer(peer);
    this.peers.set(fd, known);
    return known;
  }

  /** Whether `describe` gives it. */
  travels(fd: number): boolean {
    return this.sessions[fd] === 0 && this.records?.has(fd) === true;
  }

  /**
   * For a hand-over: the TLS connection as bytes that `attach` goes on with, in another process too. They hold its keys, so they are
   * wiped when they were used. Undefined where it cannot travel: it shakes hands, or OpenSSL has its records. It goes on here
   * until it is freed, and then only one of the two may be used.
   */
  describe(fd: number): Buffer | undefined {
    return this.travels(fd) ? this.records?.describe(fd) : undefined;
  }

  /**
   * Goes on with what `describe` has given, on a socket without TLS. What waited to be sent is offered to `write` again, in the same
   * order. False where the bytes are no such form, or need a cipher that is not here.
   */
  attach(fd: number, bytes: Uint8Array): boolean {
    if (this.loadRecords()?.attach(fd, bytes) !== true) return false;
    this.states.attachTls(fd);
    return true;
  }

  /** The thread ends, and its sockets are closed by others: what OpenSSL keeps for them is no part of its heap. */
  leave(): void {
    for (const session of this.sessions) if (session !== 0) this.ssl.free(session);
    this.close();
  }

  close(): void {
    this.loaded?.contexts.close();
    this.loaded?.links.close();
    this.loaded?.taker.close();
    this.records?.close();
    this.loaded = undefined;
    this.records = undefined;
  }
}
