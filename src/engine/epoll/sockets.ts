import { KEEP_ALIVE_IDLE_SECONDS } from '../engine.ts';
import { hostOf, portOf, SOCKADDR_BYTES, type SocketAddress } from './addresses.ts';
import type { Libc, Pinned } from './libc.ts';
import * as c from './libc.ts';
import { transparentOption } from './transparent.ts';

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

/** Makes, tunes and resets TCP sockets. Where a function gives an fd, a negative one is the errno. */
export interface Sockets {
  /** A bound, listening socket. Its options are inherited by what it accepts. */
  listen(at: SocketAddress, deviceGreets: boolean): number;
  /** 0 where nobody listens at this address, else the errno: `listen` would share it with its owner's other programs. */
  probe(at: SocketAddress): number;
  /**
   * A connecting socket: a new one, or `spare` where that is none negative. What most short links can do without is still
   * to come: `setNoDelay` and `watchPeer`.
   */
  dial(
    to: SocketAddress,
    from: SocketAddress | undefined,
    greets: boolean,
    isTransparent?: boolean,
    spare?: number,
  ): number;
  /** Has the kernel notice a peer that has vanished. */
  watchPeer(fd: number): void;
  /** Small segments no longer wait for those before them to be acknowledged (Nagle's algorithm, RFC 896). */
  setNoDelay(fd: number): void;
  /** From now on the socket is readable when so many bytes are there, or an end. */
  wakeAt(fd: number, bytes: number): void;
  /** Accepts one device; its address is in `remote` until the next call. */
  accept(listener: number): number;
  readonly remote: Buffer;
  /** The address that a listener was really bound to. */
  localAddress(fd: number): { host: string; port: number };
  /** Takes (and clears) the socket's pending error, as a positive errno; 0 for none. */
  takeError(fd: number): number;
  /** Closes with a reset: the peer learns at once, and no TIME_WAIT is left behind. */
  reset(fd: number): void;
}

export function createSockets(libc: Libc, keepAlive: KeepAlive): Sockets {
  const remote = libc.pin(SOCKADDR_BYTES + 4);
  const remoteLength = remote.address + SOCKADDR_BYTES;
  const option = libc.pin(4);
  // Views, because they are faster than the methods of a Buffer.
  const optionValue = int32Of(option);
  const remoteSize = int32Of(remote, SOCKADDR_BYTES);
  const optionLength = libc.pin(4);
  const linger = libc.pin(8);
  linger.bytes.writeInt32LE(1, 0); // l_onoff 1, l_linger 0

  function set(fd: number, level: number, name: number, value: number): number {
    optionValue[0] = value;
    return libc.setsockopt(fd, level, name, option.address, 4);
  }

  function watchPeer(fd: number): void {
    set(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, 1);
    set(fd, c.IPPROTO_TCP, c.TCP_KEEPIDLE, keepAlive.idleSeconds);
    set(fd, c.IPPROTO_TCP, c.TCP_KEEPINTVL, keepAlive.intervalSeconds);
    set(fd, c.IPPROTO_TCP, c.TCP_USER_TIMEOUT, keepAlive.userTimeoutMs);
  }

  function setNoDelay(fd: number): void {
    set(fd, c.IPPROTO_TCP, c.TCP_NODELAY, 1);
  }

  function wakeAt(fd: number, bytes: number): void {
    set(fd, c.SOL_SOCKET, c.SO_RCVLOWAT, bytes);
  }

  /** Closes `fd` and hands on the error of the step that failed. */
  function failed(fd: number, error: number): number {
    libc.close(fd);
    return error;
  }

  function bind(fd: number, at: SocketAddress): number {
    set(fd, c.SOL_SOCKET, c.SO_REUSEADDR, 1);
    if (at.family === c.AF_INET6) set(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, 0);
    return libc.bind(fd, at.address, at.length);
  }

  function probe(at: SocketAddress): number {
    const fd = libc.socket(at.family, STREAM, 0);
    if (fd < 0) return fd;
    const bound = bind(fd, at);
    libc.close(fd);
    return bound;
  }

  function listen(at: SocketAddress, deviceGreets: boolean): number {
    const fd = libc.socket(at.family, STREAM, 0);
    if (fd < 0) return fd;
    setNoDelay(fd);
    set(fd, c.IPPROTO_TCP, c.TCP_QUICKACK, 0); // the first bytes are acknowledged by the answer
    if (deviceGreets) set(fd, c.IPPROTO_TCP, c.TCP_DEFER_ACCEPT, DEFER_SECONDS);
    watchPeer(fd);
    set(fd, c.SOL_SOCKET, c.SO_REUSEPORT, 1);
    const bound = bind(fd, at);
    if (bound < 0) return failed(fd, bound);
    const listening = libc.listen(fd, BACKLOG);
    return listening < 0 ? failed(fd, listening) : fd;
  }

  function dial(
    to: SocketAddress,
    from: SocketAddress | undefined,
    greets: boolean,
    isTransparent = false,
    spare = -1,
  ): number {
    const fd = spare >= 0 ? spare : libc.socket(to.family, STREAM, 0);
    if (fd < 0) return fd;
    if (greets) set(fd, c.IPPROTO_TCP, c.TCP_QUICKACK, 0); // saves a segment
    if (from !== undefined) {
      if (isTransparent) {
        const [level, name] = transparentOption(from.family);
        const allowed = set(fd, level, name, 1);
        if (allowed < 0) return failed(fd, allowed);
      }
      // The port is chosen at connect, where only the whole pair of addresses must be unique (ip(7)).
      set(fd, c.IPPROTO_IP, c.IP_BIND_ADDRESS_NO_PORT, 1);
      const bound = libc.bind(fd, from.address, from.length);
      if (bound < 0) return failed(fd, bound);
    }
    const connected = libc.connect(fd, to.address, to.length);
    return connected < 0 && connected !== -c.EINPROGRESS && connected !== -c.EINTR
      ? failed(fd, connected)
      : fd;
  }

  function accept(listener: number): number {
    remoteSize[0] = SOCKADDR_BYTES;
    return libc.accept4(listener, remote.address, remoteLength, c.SOCK_NONBLOCK | c.SOCK_CLOEXEC);
  }

  function localAddress(fd: number): { host: string; port: number } {
    const local = libc.pin(SOCKADDR_BYTES + 4);
    local.bytes.writeUInt32LE(SOCKADDR_BYTES, SOCKADDR_BYTES);
    libc.getsockname(fd, local.address, local.address + SOCKADDR_BYTES);
    return { host: hostOf(local.bytes), port: portOf(local.bytes) };
  }

  function takeError(fd: number): number {
    optionLength.bytes.writeUInt32LE(4, 0);
    const failure = libc.getsockopt(fd, c.SOL_SOCKET, c.SO_ERROR, option.address, optionLength.address);
    return failure < 0 ? -failure : (optionValue[0] as number);
  }

  function reset(fd: number): void {
    libc.setsockopt(fd, c.SOL_SOCKET, c.SO_LINGER, linger.address, 8);
    libc.close(fd);
  }

  return {
    listen,
    probe,
    dial,
    watchPeer,
    setNoDelay,
    wakeAt,
    accept,
    remote: remote.bytes,
    localAddress,
    takeError,
    reset,
  };
}

function int32Of({ bytes }: Pinned, at = 0): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset + at, 1);
}
