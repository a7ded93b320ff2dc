import { copyBytes } from '../../base/bytes.ts';
import { EAGAIN, EINTR, type Libc, MSG_NOSIGNAL, type Pinned } from '../linux/libc.ts';
import { createOutbox, type Outbox } from '../linux/outbox.ts';
import * as is from '../linux/socket-state.ts';
import type { SocketTable } from '../linux/socket-table.ts';
import type { TlsSessions } from '../linux/tls-sessions.ts';

/** Sends bytes now, as far as the kernel takes them, and keeps the rest until it takes more. */

const COPY_BYTES = 65_536;

/** What is needed of the streams. */
interface WriterHost {
  /** An error, a negative errno, has ended the socket. */
  failed(fd: number, error: number): void;
  /** Is about to send for the second time. */
  setNoDelay(fd: number): void;
  /** Has something that waits, and must be told of room. */
  watchRoom(fd: number): void;
}

/** Sends now what the kernel takes, and keeps the rest until it takes more. */
export class Writer {
  /** Bytes waiting, by fd. */
  readonly waiting: Uint32Array;
  readonly outbox: Outbox;
  private readonly libc: Libc;
  private readonly table: SocketTable;
  private readonly tls: TlsSessions;
  private readonly scratch: Pinned;
  private readonly copy: Pinned;
  private readonly host: WriterHost;

  /** Bytes in `scratch` are sent from where they are. */
  constructor(libc: Libc, table: SocketTable, tls: TlsSessions, scratch: Pinned, host: WriterHost) {
    this.libc = libc;
    this.table = table;
    this.tls = tls;
    this.scratch = scratch;
    this.copy = libc.pin(COPY_BYTES);
    this.host = host;
    this.outbox = createOutbox(
      table.capacity,
      libc.pin,
      (fd, address, length) => this.transmit(fd, address, length),
      (fd) => host.watchRoom(fd),
    );
    this.waiting = this.outbox.waiting;
  }

  /** Sends now what the kernel takes; the rest waits. */
  write(fd: number, bytes: Uint8Array, start: number, end: number): void {
    const flags = this.table.flags[fd] as number;
    if (end <= start || (flags & (is.BROKEN | is.FIN_WANTED)) !== 0) return;
    if (this.waiting[fd] !== 0 || (flags & (is.CONNECTING | is.HANDSHAKING)) !== 0) {
      this.outbox.push(fd, bytes, start, end);
      return;
    }
    const { scratch, copy } = this;
    if (bytes === scratch.bytes) {
      const sent = this.send(fd, scratch.address + start, end - start);
      if (sent >= 0) this.outbox.push(fd, bytes, start + sent, end);
      return;
    }
    for (let at = start; at < end; ) {
      const length = Math.min(end - at, COPY_BYTES);
      copyBytes(bytes, at, at + length, copy.bytes, 0);
      const sent = this.send(fd, copy.address, length);
      if (sent < 0) return;
      at += sent;
      if (sent < length) {
        this.outbox.push(fd, bytes, at, end);
        return;
      }
    }
  }

  /** Bytes taken by the kernel, 0 where it takes none now, negative where the socket is broken. */
  send(fd: number, address: number, length: number): number {
    const sent = this.transmit(fd, address, length);
    if (sent >= 0) return sent;
    if (sent === -EAGAIN) return 0;
    this.host.failed(fd, sent);
    return sent;
  }

  private transmit(fd: number, address: number, length: number): number {
    const flags = this.table.flags[fd] as number;
    if ((flags & is.DELAY_PENDING) !== 0) this.setNoDelay(fd, flags);
    let sent: number;
    if ((flags & is.TLS) !== 0) sent = this.tls.write(fd, address, length);
    else {
      do sent = this.libc.send(fd, address, length, MSG_NOSIGNAL);
      while (sent === -EINTR);
    }
    if (sent > 0 && (flags & is.DEVICE) !== 0) {
      const { table } = this;
      const slot = (table.slot[fd] as number) - 1;
      table.toDevice[slot] = (table.toDevice[slot] as number) + sent;
      const place = (table.place[slot] as number) + 1;
      table.traffic[place] = (table.traffic[place] as number) + sent;
    }
    return sent;
  }

  /** What a link sends first goes at once anyway, and for many it is the only thing. */
  private setNoDelay(fd: number, flags: number): void {
    const { states } = this.table;
    if ((flags & is.SENT) === 0) return states.firstSent(fd);
    this.host.setNoDelay(fd);
    states.noDelaySet(fd);
  }
}
