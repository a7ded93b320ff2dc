import { KEEP_ALIVE_IDLE_SECONDS } from '../engine.ts';
import { hostOf, portOf, SOCKADDR_BYTES, type SocketAddress } from './addresses.ts';
import type { Libc, Pinned } from './libc.ts';
import * as c from './libc.ts';
import { transparentOption } from './transparent.ts';

/** The system calls that make, tune and reset TCP sockets. */

/** How a dead peer is noticed on a silent connection, and on one with bytes in flight (tcp(7)). */
export interface KeepAlive {
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  /** Longest that sent bytes, or a probe, may stay unacknowledged. */
  readonly userTimeoutMs: number;
}

/** A vanished peer is noticed within a minute; an idle connection costs a packet every half minute. */
export const DEFAULT_KEEP_ALIVE: KeepAlive = {
  idleSeconds: KEEP_ALIVE_IDLE_SECONDS,
  intervalSeconds: 10,
  userTimeoutMs: 30_000,
};

const BACKLOG = 4096;
/** A device that says nothing is accepted all the same after about so long, and then has its time to speak. */
const DEFER_SECONDS = 1;
const STREAM = c.SOCK_STREAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;

/** Makes, tunes and resets TCP sockets. Where a method gives an fd, a negative one is the errno. */
export class Sockets {
  /** The address of the device that was accepted last. */
  readonly remote: Buffer;
  private readonly libc: Libc;
  private readonly keepAlive: KeepAlive;
  private readonly remoteAddress: number;
  private readonly remoteLength: number;
  private readonly option: Pinned;
  // Views, because they are faster than the methods of a Buffer.
  private readonly optionValue: Int32Array;
  private readonly remoteSize: Int32Array;
  private readonly optionLength: Pinned;
  private readonly linger: Pinned;

  constructor(libc: Libc, keepAlive: KeepAlive) {
    this.libc = libc;
    this.keepAlive = keepAlive;
    const remote = libc.pin(SOCKADDR_BYTES + 4);
    this.remote = remote.bytes;
    this.remoteAddress = remote.address;
    this.remoteLength = remote.address + SOCKADDR_BYTES;
    this.remoteSize = int32Of(remote, SOCKADDR_BYTES);
    this.option = libc.pin(4);
    this.optionValue = int32Of(this.option);
    this.optionLength = libc.pin(4);
    this.linger = libc.pin(8);
    this.linger.bytes.writeInt32LE(1, 0); // l_onoff 1, l_linger 0
  }

  private set(fd: number, level: number, name: number, value: number): number {
    this.optionValue[0] = value;
    return this.libc.setsockopt(fd, level, name, this.option.address, 4);
  }

  // ---- listening

  /** 0 where nobody listens at this address, else the errno: `listen` would share it with its owner's other programs. */
  probe(at: SocketAddress): number {
    const fd = this.libc.socket(at.family, STREAM, 0);
    if (fd < 0) return fd;
    const bound = this.bind(fd, at);
    this.libc.close(fd);
    return bound;
  }

  /** A bound, listening socket. Its options are inherited by what it accepts. */
  listen(at: SocketAddress, deviceGreets: boolean): number {
    const fd = this.libc.socket(at.family, STREAM, 0);
    if (fd < 0) return fd;
    this.tuneListening(fd, deviceGreets);
    this.set(fd, c.SOL_SOCKET, c.SO_REUSEPORT, 1);
    const bound = this.bind(fd, at);
    if (bound < 0) return this.failed(fd, bound);
    const listening = this.libc.listen(fd, BACKLOG);
    return listening < 0 ? this.failed(fd, listening) : fd;
  }

  /** What is accepted there inherits it. */
  tuneListening(fd: number, deviceGreets: boolean): void {
    this.setNoDelay(fd);
    this.set(fd, c.IPPROTO_TCP, c.TCP_QUICKACK, 0); // the first bytes are acknowledged by the answer
    this.set(fd, c.IPPROTO_TCP, c.TCP_DEFER_ACCEPT, deviceGreets ? DEFER_SECONDS : 0);
    this.watchPeer(fd);
  }

  private bind(fd: number, at: SocketAddress): number {
    this.set(fd, c.SOL_SOCKET, c.SO_REUSEADDR, 1);
    if (at.family === c.AF_INET6) this.set(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, 0);
    return this.libc.bind(fd, at.address, at.length);
  }

  /** Closes `fd` and hands on the error of the step that failed. */
  private failed(fd: number, error: number): number {
    this.libc.close(fd);
    return error;
  }

  /** Accepts one device; its address is in `remote` until the next call. */
  accept(listener: number): number {
    this.remoteSize[0] = SOCKADDR_BYTES;
    const flags = c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
    return this.libc.accept4(listener, this.remoteAddress, this.remoteLength, flags);
  }

  // ---- dialling

  /**
   * A connecting socket: a new one, or `spare` where that is none negative. What most short links can do without is still
   * to come: `setNoDelay` and `watchPeer`.
   */
  dial(
    to: SocketAddress,
    from: SocketAddress | undefined,
    greets: boolean,
    isTransparent = false,
    spare = -1,
  ): number {
    const fd = spare >= 0 ? spare : this.libc.socket(to.family, STREAM, 0);
    if (fd < 0) return fd;
    if (greets) this.set(fd, c.IPPROTO_TCP, c.TCP_QUICKACK, 0); // saves a segment
    if (from !== undefined) {
      const bound = this.bindSource(fd, from, isTransparent);
      if (bound < 0) return this.failed(fd, bound);
    }
    const connected = this.libc.connect(fd, to.address, to.length);
    return connected < 0 && connected !== -c.EINPROGRESS && connected !== -c.EINTR
      ? this.failed(fd, connected)
      : fd;
  }

  private bindSource(fd: number, from: SocketAddress, isTransparent: boolean): number {
    if (isTransparent) {
      const [level, name] = transparentOption(from.family);
      const allowed = this.set(fd, level, name, 1);
      if (allowed < 0) return allowed;
    }
    // The port is chosen at connect, where only the whole pair of addresses must be unique (ip(7)).
    this.set(fd, c.IPPROTO_IP, c.IP_BIND_ADDRESS_NO_PORT, 1);
    return this.libc.bind(fd, from.address, from.length);
  }

  // ---- open sockets

  /** Has the kernel notice a peer that has vanished. */
  watchPeer(fd: number): void {
    const { idleSeconds, intervalSeconds, userTimeoutMs } = this.keepAlive;
    this.set(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, 1);
    this.set(fd, c.IPPROTO_TCP, c.TCP_KEEPIDLE, idleSeconds);
    this.set(fd, c.IPPROTO_TCP, c.TCP_KEEPINTVL, intervalSeconds);
    this.set(fd, c.IPPROTO_TCP, c.TCP_USER_TIMEOUT, userTimeoutMs);
  }

  /** Small segments no longer wait for those before them to be acknowledged (Nagle's algorithm, RFC 896). */
  setNoDelay(fd: number): void {
    this.set(fd, c.IPPROTO_TCP, c.TCP_NODELAY, 1);
  }

  /** From now on the socket is readable when so many bytes are there, or an end. */
  wakeAt(fd: number, bytes: number): void {
    this.set(fd, c.SOL_SOCKET, c.SO_RCVLOWAT, bytes);
  }

  /** The socket's own end: the address that a listener was bound to, or that a device connected to. */
  localAddress(fd: number): { host: string; port: number } {
    const local = this.libc.pin(SOCKADDR_BYTES + 4);
    local.bytes.writeUInt32LE(SOCKADDR_BYTES, SOCKADDR_BYTES);
    this.libc.getsockname(fd, local.address, local.address + SOCKADDR_BYTES);
    return { host: hostOf(local.bytes), port: portOf(local.bytes) };
  }

  /** Bytes in the kernel that the peer has not acknowledged. */
  unsent(fd: number): number {
    return this.libc.ioctl(fd, c.SIOCOUTQ, this.option.address) < 0 ? 0 : (this.optionValue[0] as number);
  }

  /** Takes (and clears) the socket's pending error, as a positive errno; 0 for none. */
  takeError(fd: number): number {
    const { option, optionLength } = this;
    optionLength.bytes.writeUInt32LE(4, 0);
    const failure = this.libc.getsockopt(fd, c.SOL_SOCKET, c.SO_ERROR, option.address, optionLength.address);
    return failure < 0 ? -failure : (this.optionValue[0] as number);
  }

  /** Closes with a reset: the peer learns at once, and no TIME_WAIT is left behind. */
  reset(fd: number): void {
    this.libc.setsockopt(fd, c.SOL_SOCKET, c.SO_LINGER, this.linger.address, 8);
    this.libc.close(fd);
  }
}

function int32Of({ bytes }: Pinned, at = 0): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset + at, 1);
}
