import { decodeProxyHeader } from '../../protocol/proxy-protocol/decode.ts';
import type { HeaderRefusal, ProxyProtocolOptions } from '../../protocol/proxy-protocol/expect.ts';
import { MAX_V2_BYTES, type ProxyHeader } from '../../protocol/proxy-protocol/header.ts';
import { expectations, judgeHeader, MAX_HEADERS, type OnHeaderRefused } from '../headers.ts';
import { hostOf } from './addresses.ts';
import {
  EAGAIN,
  EINTR,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLRDHUP,
  type Libc,
  MSG_PEEK,
  type Pinned,
} from './libc.ts';
import type { Poller } from './poller.ts';
import type { SocketTable } from './socket-table.ts';
import type { Sockets } from './sockets.ts';

/** Takes the PROXY protocol header off an accepted socket before anybody else reads it. */

const ENDS = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

/** What the loop does for it. */
interface HeaderHost {
  /** The device is known, or is none of a proxy: what is left in the socket is its own. */
  adopt(fd: number, listenerIndex: number, sockaddr: Buffer, header: ProxyHeader | undefined): void;
  setTimer(fd: number, ms: number): void;
  refused: OnHeaderRefused;
}

interface Listener {
  readonly expect: ReturnType<typeof expectations>;
  readonly timeoutMs: number;
}

interface PendingHeader {
  readonly listenerIndex: number;
  /** Who connected. */
  readonly sockaddr: Buffer;
  readonly expectation: 'read' | 'peek';
  /** Nothing is told before the rest of the header is there. */
  sleeps: boolean;
}

/**
 * Accepted sockets that owe a PROXY protocol header. It is peeked at until it is whole, and then taken out of the
 * socket to the byte, so that whatever reads behind it, TLS too, finds the device's own first byte.
 */
export class ProxyHeaders {
  private readonly libc: Libc;
  private readonly table: SocketTable;
  private readonly sockets: Sockets;
  private readonly poller: Poller;
  private readonly host: HeaderHost;
  private readonly scratch: Pinned;
  private readonly listeners = new Map<number, Listener>();
  private readonly pendingHeaders = new Map<number, PendingHeader>();

  constructor(libc: Libc, table: SocketTable, sockets: Sockets, poller: Poller, host: HeaderHost) {
    this.libc = libc;
    this.table = table;
    this.sockets = sockets;
    this.poller = poller;
    this.host = host;
    this.scratch = libc.pin(MAX_V2_BYTES);
  }

  /** From now on. @throws Error where a network cannot be read */
  configure(listenerIndex: number, options: ProxyProtocolOptions | undefined): void {
    if (options === undefined) this.listeners.delete(listenerIndex);
    else this.listeners.set(listenerIndex, { expect: expectations(options), timeoutMs: options.timeoutMs });
  }

  isFor(listenerIndex: number): boolean {
    return this.listeners.has(listenerIndex);
  }

  /** A socket was accepted; `sockaddr` is the caller's to overwrite afterwards. */
  accepted(fd: number, listenerIndex: number, sockaddr: Buffer): void {
    const listener = this.listeners.get(listenerIndex);
    const expectation = listener?.expect(hostOf(sockaddr)) ?? 'skip';
    if (listener === undefined || expectation === 'skip') {
      this.host.adopt(fd, listenerIndex, sockaddr, undefined);
      return;
    }
    const refusal =
      expectation === 'refuse' ? 'untrusted' : this.pendingHeaders.size >= MAX_HEADERS && 'too-many';
    if (refusal || expectation === 'refuse' || fd >= this.table.capacity) {
      this.sockets.reset(fd);
      if (refusal) this.host.refused(listenerIndex, refusal, hostOf(sockaddr));
      return;
    }
    const pending = { listenerIndex, sockaddr: Buffer.from(sockaddr), expectation, sleeps: false };
    this.pendingHeaders.set(fd, pending);
    // Edge-triggered: what is peeked at stays readable.
    const events = (EPOLLIN | EPOLLRDHUP | EPOLLET) >>> 0;
    if (this.poller.add(fd, this.table.generation[fd] as number, events) < 0) this.drop(fd);
    else this.host.setTimer(fd, listener.timeoutMs);
  }

  /** Something has arrived, an end perhaps. */
  event(fd: number, mask: number): void {
    const pending = this.pendingHeaders.get(fd);
    if (pending === undefined) return;
    const { scratch } = this;
    let got: number;
    do got = this.libc.recv(fd, scratch.address, MAX_V2_BYTES, MSG_PEEK);
    while (got === -EINTR);
    if (got === -EAGAIN) return;
    if (got <= 0) {
      this.drop(fd); // it has left without a word, as those who only look whether we listen do
      return;
    }
    const verdict = judgeHeader(decodeProxyHeader(scratch.bytes, 0, got), pending.expectation);
    if (verdict.kind === 'reset') this.refuse(fd, pending, verdict.refusal);
    else if (verdict.kind === 'go') this.complete(fd, pending, verdict.header, verdict.end);
    else if ((mask & ENDS) !== 0)
      this.drop(fd); // what is peeked at hides the end, and is all that will come
    else if (verdict.wantedBytes > got + 1) {
      this.sockets.wakeAt(fd, verdict.wantedBytes);
      pending.sleeps = true;
    }
  }

  private complete(
    fd: number,
    pending: PendingHeader,
    header: ProxyHeader | undefined,
    headerBytes: number,
  ): void {
    if (headerBytes > 0) this.libc.recv(fd, this.scratch.address, headerBytes, 0); // they were there a moment ago
    this.pendingHeaders.delete(fd);
    if (pending.sleeps) this.sockets.wakeAt(fd, 1);
    this.host.setTimer(fd, 0);
    this.poller.remove(fd); // it is watched anew, and told of at once what is left
    this.host.adopt(fd, pending.listenerIndex, pending.sockaddr, header);
  }

  /** False where the socket owes no header. */
  timer(fd: number): boolean {
    const pending = this.pendingHeaders.get(fd);
    if (pending !== undefined) this.refuse(fd, pending, 'timeout');
    return pending !== undefined;
  }

  private refuse(fd: number, { listenerIndex, sockaddr }: PendingHeader, refusal: HeaderRefusal): void {
    this.drop(fd);
    this.host.refused(listenerIndex, refusal, hostOf(sockaddr));
  }

  private drop(fd: number): void {
    this.pendingHeaders.delete(fd);
    this.host.setTimer(fd, 0);
    this.poller.forget(fd);
    this.table.generation[fd] = (this.table.generation[fd] as number) + 1;
    this.sockets.reset(fd);
  }

  /** Resets those that still owe their header, of one listener or of all. */
  close(listenerIndex?: number): void {
    for (const [fd, pending] of this.pendingHeaders) {
      if (listenerIndex === undefined || pending.listenerIndex === listenerIndex) this.drop(fd);
    }
  }
}
