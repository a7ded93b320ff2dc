import { MAX_RECORD_BYTES } from '../../protocol/tls-record/state.ts';
import type { Reader } from './driver.ts';
import { Inbox } from './inbox.ts';
import { EINTR, type Libc, type Pinned } from './libc.ts';
import * as is from './socket-state.ts';
import { countReceived, type SocketTable } from './socket-table.ts';
import type { TlsSessions } from './tls-sessions.ts';

/** Receives into the one scratch buffer, and counts what devices send. */
export class ScratchReader implements Reader {
  readonly scratch: Pinned;
  readonly bytes: Buffer;
  readonly start = 0;
  readonly readsPerTurn = 2;
  private readonly libc: Libc;
  private readonly table: SocketTable;
  private readonly tls: TlsSessions;
  private readonly readBytes: number;
  /** What another engine had received, of plain sockets. */
  private readonly inbox = new Inbox();

  constructor(libc: Libc, table: SocketTable, tls: TlsSessions, readBytes: number) {
    this.libc = libc;
    this.table = table;
    this.tls = tls;
    this.readBytes = readBytes;
    this.scratch = libc.pin(Math.max(readBytes, MAX_RECORD_BYTES));
    this.bytes = this.scratch.bytes;
  }

  receive(fd: number, flags: number): number {
    const { table, scratch, readBytes } = this;
    let got: number;
    if ((flags & is.TLS) !== 0) got = this.tls.read(fd, scratch);
    else if (this.inbox.has(fd)) got = this.takeKept(fd);
    else {
      do got = this.libc.recv(fd, scratch.address, readBytes, 0);
      while (got === -EINTR);
      // A short read has emptied the socket (epoll(7)), unless an end is still to be read.
      if (got > 0 && got < readBytes && (flags & is.ENDING) === 0) table.states.readDry(fd);
    }
    if (got > 0) countReceived(table, fd, flags, got);
    return got;
  }

  private takeKept(fd: number): number {
    const { inbox } = this;
    const got = inbox.take(fd, this.readBytes);
    return inbox.bytes.copy(this.bytes, 0, inbox.start, inbox.start + got);
  }

  hasAll(): boolean {
    return true; // the kernel was asked
  }

  unreadOf(fd: number): Uint8Array {
    return this.inbox.copy(fd);
  }

  keep(fd: number, bytes: Uint8Array): void {
    this.inbox.keep(fd, [bytes]);
  }

  clear(fd: number): void {
    this.inbox.clear(fd);
  }
}
