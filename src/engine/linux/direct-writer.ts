import { copyBytes } from '../../base/bytes.ts';
import type { Writer } from './driver.ts';
import { EAGAIN, type Libc, type Pinned } from './libc.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import type { Sender } from './sender.ts';
import type { SocketFlags } from './socket-state.ts';
import * as is from './socket-state.ts';

/** Sends now what the kernel takes, by a system call for each write, and keeps the rest until it takes more. */

const COPY_BYTES = 65_536;

/** What is needed of the streams, and of who watches them. */
interface WriterHost {
  /** An error, a negative errno, has ended the socket. */
  failed(fd: number, error: number): void;
  /** Has something that waits, and must be told of room. */
  room(fd: number): void;
}

/** For sockets whose room the poller tells. Bytes of the scratch buffer are sent from where they are. */
export class DirectWriter implements Writer {
  readonly waiting: Uint32Array;
  private readonly outbox: Outbox;
  private readonly flags: SocketFlags;
  private readonly sender: Sender;
  private readonly scratch: Pinned;
  private readonly copy: Pinned;
  private readonly host: WriterHost;

  constructor(
    libc: Libc,
    capacity: number,
    flags: SocketFlags,
    sender: Sender,
    scratch: Pinned,
    host: WriterHost,
  ) {
    this.flags = flags;
    this.sender = sender;
    this.scratch = scratch;
    this.copy = libc.pin(COPY_BYTES);
    this.host = host;
    this.outbox = createOutbox(
      capacity,
      libc.pin,
      (fd, address, length) => sender.send(fd, address, length),
      (fd) => host.room(fd),
    );
    this.waiting = this.outbox.waiting;
  }

  write(fd: number, bytes: Uint8Array, start: number, end: number): void {
    const flags = this.flags[fd] as number;
    if (end <= start || (flags & (is.BROKEN | is.FIN_WANTED)) !== 0) return;
    if (this.waiting[fd] !== 0 || (flags & (is.CONNECTING | is.HANDSHAKING | is.FROZEN)) !== 0) {
      this.outbox.push(fd, bytes, start, end);
      return;
    }
    const { scratch, copy } = this;
    if (bytes === scratch.bytes) {
      this.writePinned(fd, scratch, start, end);
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

  forward(fd: number, length: number): void {
    this.writePinned(fd, this.scratch, 0, length);
  }

  /** Bytes that need not be copied. */
  writePinned(fd: number, { bytes, address }: Pinned, start: number, end: number): void {
    const sent = this.waiting[fd] === 0 ? this.send(fd, address + start, end - start) : 0;
    if (sent >= 0 && sent < end - start) this.outbox.push(fd, bytes, start + sent, end);
  }

  /** Bytes taken by the kernel, 0 where it takes none now, negative where the socket is broken. */
  private send(fd: number, address: number, length: number): number {
    const sent = this.sender.send(fd, address, length);
    if (sent >= 0) return sent;
    if (sent === -EAGAIN) return 0;
    this.host.failed(fd, sent);
    return sent;
  }

  sendNow(): void {
    // Nothing was put off.
  }

  keep(fd: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.outbox.push(fd, bytes, start, end);
  }

  waitingOf(fd: number): Uint8Array {
    return this.outbox.copy(fd);
  }

  flush(fd: number): number {
    return this.outbox.flush(fd);
  }

  clear(fd: number): void {
    this.outbox.clear(fd);
  }
}
