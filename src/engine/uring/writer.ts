import { copyBytes } from '../../base/bytes.ts';
import type { DirectWriter } from '../linux/direct-writer.ts';
import type { Writer } from '../linux/driver.ts';
import {
  EAGAIN,
  EINTR,
  type Libc,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_WAITALL,
  type Pinned,
} from '../linux/libc.ts';
import type { Sender } from '../linux/sender.ts';
import * as is from '../linux/socket-state.ts';
import { countSent, type SocketTable } from '../linux/socket-table.ts';
import * as a from './abi.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Operations } from './operations.ts';
import type { PoolReader } from './reader.ts';

/** Gathers what is written in a turn of the loop, and sends it with the system call that waits for the next one. */

/** Most pieces of one turn; those beyond are sent at once. */
const PIECES = 1024;
/** Memory for the bytes of one turn that have to be copied, and most that one write puts there. */
const COPY_BYTES = 262_144;
const COPY_MAX = 16_384;
const NOT_OF_POOL = -1;

/** A send is tried once: what the kernel does not take at once is told, and all of it or an error is. */
const FLAGS = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL;

/** What is needed of the streams. */
interface WriterHost {
  /** An error, a negative errno, has ended the socket. */
  failed(fd: number, error: number): void;
}

/**
 * A turn's bytes of one socket are pieces, in order: buffers of the pool that were received for it, which are sent from where
 * they are, and copies. One send takes them all. It never waits for room, so all sends have ended when the system call has
 * submitted them, and nothing is under way that could overtake, or outlive its socket; what was not taken waits in the outbox.
 *
 * TLS, large writes and what waits are the matter of the direct writer.
 */
export class BatchWriter implements Writer {
  readonly waiting: Uint32Array;
  private readonly table: SocketTable;
  private readonly operations: Operations;
  private readonly pool: BufferPool;
  private readonly reader: PoolReader;
  private readonly direct: DirectWriter;
  private readonly sender: Sender;
  private readonly host: WriterHost;
  private readonly copies: Pinned;
  private copied = 0;
  /** The first and the last piece, by fd, as their numbers plus one; 0: none. */
  private readonly first: Int32Array;
  private readonly last: Int32Array;
  /** By piece: where it begins, in its buffer's memory or among the copies; its bytes; its buffer; the next one. */
  private readonly start = new Uint32Array(PIECES);
  private readonly bytes = new Uint32Array(PIECES);
  private readonly buffer = new Int32Array(PIECES);
  private readonly next = new Int32Array(PIECES);
  private pieces = 0;
  /** Sockets that have got a piece in this turn. */
  private readonly dirty = new Int32Array(PIECES);
  private dirtyCount = 0;
  /** By send: its socket, its first piece, its bytes, and what the kernel took of them, or a negative errno. */
  private readonly socket = new Int32Array(PIECES);
  private readonly head = new Int32Array(PIECES);
  private readonly length = new Uint32Array(PIECES);
  private readonly taken = new Int32Array(PIECES);
  private sends = 0;
  private readonly messages: Messages;

  constructor(
    libc: Libc,
    table: SocketTable,
    operations: Operations,
    pool: BufferPool,
    reader: PoolReader,
    direct: DirectWriter,
    sender: Sender,
    host: WriterHost,
  ) {
    this.table = table;
    this.operations = operations;
    this.pool = pool;
    this.reader = reader;
    this.direct = direct;
    this.sender = sender;
    this.host = host;
    this.waiting = direct.waiting;
    this.copies = libc.pin(COPY_BYTES);
    this.first = new Int32Array(table.capacity);
    this.last = new Int32Array(table.capacity);
    this.messages = new Messages(libc);
  }

  // ---- gathering

  write(fd: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length <= COPY_MAX && length > 0 && this.gathers(fd) && this.copied + length <= COPY_BYTES) {
      if (((this.table.flags[fd] as number) & is.FIN_WANTED) !== 0) return;
      copyBytes(bytes, start, end, this.copies.bytes, this.copied);
      this.add(fd, this.copied, length, NOT_OF_POOL);
      this.copied += length;
    } else {
      this.sendNow(fd);
      this.direct.write(fd, bytes, start, end);
    }
  }

  forward(fd: number, length: number): void {
    const { reader } = this;
    const { start } = reader;
    const buffer = this.gathers(fd) ? reader.takeAlong() : NOT_OF_POOL;
    if (buffer !== NOT_OF_POOL) this.add(fd, start, length, buffer);
    else {
      this.sendNow(fd);
      this.direct.write(fd, reader.bytes, start, start + length);
    }
  }

  /** Whether bytes of the socket can wait for the end of the turn. */
  private gathers(fd: number): boolean {
    const unfit = is.TLS | is.CONNECTING | is.HANDSHAKING | is.BROKEN | is.FROZEN;
    return this.waiting[fd] === 0 && ((this.table.flags[fd] as number) & unfit) === 0 && this.pieces < PIECES;
  }

  private add(fd: number, start: number, length: number, buffer: number): void {
    const last = (this.last[fd] as number) - 1;
    if (last >= 0 && buffer === NOT_OF_POOL && this.extend(last, start, length)) return;
    const piece = this.pieces++;
    this.start[piece] = start;
    this.bytes[piece] = length;
    this.buffer[piece] = buffer;
    this.next[piece] = 0;
    this.last[fd] = piece + 1;
    if (last >= 0) this.next[last] = piece + 1;
    else {
      this.first[fd] = piece + 1;
      this.dirty[this.dirtyCount++] = fd;
    }
  }

  /** Copies that lie behind one another are one piece. */
  private extend(piece: number, start: number, length: number): boolean {
    const end = (this.start[piece] as number) + (this.bytes[piece] as number);
    if (this.buffer[piece] !== NOT_OF_POOL || end !== start) return false;
    this.bytes[piece] = (this.bytes[piece] as number) + length;
    return true;
  }

  private memoryOf(piece: number): Pinned {
    return this.buffer[piece] === NOT_OF_POOL ? this.copies : this.pool.memory;
  }

  private giveBack(piece: number): void {
    const buffer = this.buffer[piece] as number;
    if (buffer !== NOT_OF_POOL) this.pool.giveBack(buffer);
  }

  /** The pieces are nobody's to send any more. Gives the first, plus one. */
  private takePieces(fd: number): number {
    const first = this.first[fd] as number;
    this.first[fd] = 0;
    this.last[fd] = 0;
    return first;
  }

  // ---- sending

  sendNow(fd: number): void {
    for (let entry = this.takePieces(fd); entry !== 0; entry = this.next[entry - 1] as number) {
      const piece = entry - 1;
      const start = this.start[piece] as number;
      if (((this.table.flags[fd] as number) & is.BROKEN) === 0)
        this.direct.writePinned(fd, this.memoryOf(piece), start, start + (this.bytes[piece] as number));
      this.giveBack(piece);
    }
  }

  /** The loop is about to wait: puts the sends of this turn among the submissions. */
  submit(): void {
    for (let i = 0; i < this.dirtyCount; i++) {
      const fd = this.dirty[i] as number;
      const piece = this.takePieces(fd) - 1;
      if (piece < 0) continue; // sent at once, or forgotten
      this.sender.prepare(fd, this.table.flags[fd] as number);
      this.submitOne(fd, piece);
    }
    this.dirtyCount = 0;
  }

  private submitOne(fd: number, piece: number): void {
    const send = this.sends++;
    this.socket[send] = fd;
    this.head[send] = piece;
    let length = this.bytes[piece] as number;
    const only = this.next[piece] === 0;
    if (only) this.operations.send(a.OP_SEND, fd, this.addressOf(piece), length, FLAGS, send);
    else length = this.submitMany(fd, piece, send);
    this.length[send] = length;
    this.taken[send] = length;
  }

  private submitMany(fd: number, first: number, send: number): number {
    const { messages } = this;
    const message = messages.begin();
    let length = 0;
    for (let entry = first + 1; entry !== 0; entry = this.next[entry - 1] as number) {
      messages.add(this.addressOf(entry - 1), this.bytes[entry - 1] as number);
      length += this.bytes[entry - 1] as number;
    }
    messages.end(message);
    this.operations.send(a.OP_SENDMSG, fd, message, 1, FLAGS, send);
    return length;
  }

  private addressOf(piece: number): number {
    return this.memoryOf(piece).address + (this.start[piece] as number);
  }

  /** A send was not taken whole: bytes that were, or a negative errno. */
  fellShort(send: number, result: number): void {
    this.taken[send] = result;
  }

  /** All sends have been submitted, and all that fell short have been told. */
  settle(): void {
    for (let send = 0; send < this.sends; send++) {
      const fd = this.socket[send] as number;
      const result = this.taken[send] as number;
      const isFatal = result < 0 && result !== -EAGAIN && result !== -EINTR;
      if (result > 0) countSent(this.table, fd, this.table.flags[fd] as number, result);
      if (isFatal) this.host.failed(fd, result);
      this.settlePieces(
        fd,
        this.head[send] as number,
        isFatal ? (this.length[send] as number) : Math.max(0, result),
      );
    }
    this.sends = 0;
    this.pieces = 0;
    this.copied = 0;
    this.messages.clear();
  }

  /** The first so many bytes are gone; the others wait. */
  private settlePieces(fd: number, first: number, gone: number): void {
    for (let entry = first + 1; entry !== 0; entry = this.next[entry - 1] as number) {
      const piece = entry - 1;
      const bytes = this.bytes[piece] as number;
      if (gone < bytes) {
        const start = this.start[piece] as number;
        this.direct.keep(fd, this.memoryOf(piece).bytes, start + gone, start + bytes);
      }
      gone = Math.max(0, gone - bytes);
      this.giveBack(piece);
    }
  }

  /** What has become of sends that were submitted was not seen yet. */
  get isUnsettled(): boolean {
    return this.sends > 0;
  }

  flush(fd: number): number {
    return this.direct.flush(fd);
  }

  waitingOf(fd: number): Uint8Array {
    return this.direct.waitingOf(fd);
  }

  keep(fd: number, bytes: Uint8Array): void {
    this.direct.keep(fd, bytes);
  }

  clear(fd: number): void {
    for (let entry = this.takePieces(fd); entry !== 0; entry = this.next[entry - 1] as number)
      this.giveBack(entry - 1);
    this.direct.clear(fd);
  }
}

/** The messages of one turn (`struct msghdr`) and what they are made of (`struct iovec`). */
class Messages {
  private readonly memory: Pinned;
  private readonly words: Uint32Array;
  private readonly vectorsAt: number;
  private messages = 0;
  private vectors = 0;
  private begun = 0;

  constructor(libc: Libc) {
    this.vectorsAt = (PIECES / 2) * a.MSGHDR_BYTES; // each has two pieces at least
    this.memory = libc.pin(this.vectorsAt + PIECES * a.IOVEC_BYTES);
    this.words = new Uint32Array(this.memory.bytes.buffer);
  }

  /** The address of the next message. */
  begin(): number {
    this.begun = this.vectors;
    return this.memory.address + this.messages++ * a.MSGHDR_BYTES;
  }

  add(address: number, length: number): void {
    const at = (this.vectorsAt + this.vectors++ * a.IOVEC_BYTES) >>> 2;
    this.setPointer(at, address);
    this.words[at + 2] = length;
  }

  end(message: number): void {
    const at = (message - this.memory.address) >>> 2;
    this.setPointer(at + 4, this.memory.address + this.vectorsAt + this.begun * a.IOVEC_BYTES);
    this.words[at + 6] = this.vectors - this.begun;
  }

  private setPointer(at: number, address: number): void {
    this.words[at] = address;
    this.words[at + 1] = Math.floor(address / 2 ** 32);
  }

  clear(): void {
    this.messages = 0;
    this.vectors = 0;
  }
}
