import type { Libc } from './libc.ts';
import type { Poller } from './poller.ts';
import type { SocketTable } from './socket-table.ts';
import type { TlsSessions } from './tls-sessions.ts';

/** What each engine for Linux does in its own way: how it hears of events, and how bytes get out of and into the kernel. */

/** Receives the bytes of sockets, plain and TLS. */
export interface Reader {
  /** What `receive` has got is here from `start` on, until it is called again or the loop waits. */
  readonly bytes: Buffer;
  readonly start: number;
  /** Reads of one socket in one turn, so that a busy connection waits for its next turn behind the others. */
  readonly readsPerTurn: number;
  /** Bytes received, 0 for the end, or a negative errno. */
  receive(fd: number, flags: number): number;
  /**
   * Of a broken socket of which nothing can be received: whether that is all. Else it is told of again when more, or the end,
   * is here.
   */
  hasAll(fd: number, flags: number): boolean;
  /** A copy of what was received and is not read, first to last; of a frozen socket. */
  unreadOf(fd: number): Uint8Array;
  /** Has bytes be read before all that is received from now on. */
  keep(fd: number, bytes: Uint8Array): void;
  /** Forgets what was received. */
  clear(fd: number): void;
}

/** Sends bytes, and keeps what the kernel would not take until it takes more. */
export interface Writer {
  /** Bytes that the kernel would not take yet, by fd. */
  readonly waiting: Uint32Array;
  write(fd: number, bytes: Uint8Array, start: number, end: number): void;
  /** Writes what the reader has just received, so many bytes. */
  forward(fd: number, length: number): void;
  /** Bytes that are to be sent when the loop waits are sent at once. */
  sendNow(fd: number): void;
  /** Sends of what waits as much as the kernel takes. A negative errno where that ends the socket. */
  flush(fd: number): number;
  /** A copy of what waits, first to last. */
  waitingOf(fd: number): Uint8Array;
  /** Has bytes wait without being tried, also where FIN follows them. */
  keep(fd: number, bytes: Uint8Array): void;
  /** Forgets what waits. */
  clear(fd: number): void;
}

/** Has the kernel tell what happens at stream sockets. `Poller.forget` ends it. */
export interface StreamWatch {
  /** A link is connecting, over a socket of the recycler if it `isSpare`. Returns 0, or a negative errno. */
  connecting(fd: number, isSpare: boolean): number;
  /** It is connected, and its TLS session has begun, if it has one. */
  connected(fd: number): void;
  /** A device has been looked at for the first time. Returns 0, or a negative errno. */
  device(fd: number): number;
  /** Something waits to be sent to it. */
  room(fd: number): void;
}

/** Takes sockets from the kernel's and the driver's hands, and gives them back. */
export interface Freezer {
  /**
   * Ends what is under way at sockets that are to be frozen: what was written to them has gone or waits, and what is still
   * received comes to be read. It takes as many system calls as the kernel needs to come to them, behind others that have something
   * to tell, so whoever freezes need not ask again. False: not now, or one has failed; then all goes on.
   */
  settle(fds: readonly number[]): boolean;
  /** From now on neither the kernel nor the driver tells or moves anything of it, not even where other processes have duplicates. Its state says so. */
  freeze(fd: number): void;
  /** The opposite; what has happened meanwhile is told. Returns 0, or a negative errno. */
  thaw(fd: number): number;
}

/** What is needed of the streams. */
export interface DriverHost {
  /** An error, a negative errno, has ended the socket. */
  failed(fd: number, error: number): void;
  setNoDelay(fd: number): void;
}

interface StreamsOfDriver {
  readonly reader: Reader;
  readonly writer: Writer;
  readonly watch: StreamWatch;
  readonly freezer: Freezer;
}

export interface Driver {
  readonly poller: Poller;
  /** Called once. @param readBytes most that one read takes */
  serve(tls: TlsSessions, readBytes: number, host: DriverHost): StreamsOfDriver;
}

export type CreateDriver = (libc: Libc, table: SocketTable) => Driver;
