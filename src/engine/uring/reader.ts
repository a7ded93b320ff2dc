import type { Reader } from '../linux/driver.ts';
import { Inbox } from '../linux/inbox.ts';
import { EAGAIN, ECANCELED, EINTR, ENOBUFS, EPOLLERR, EPOLLIN, type Libc, SHUT_RD } from '../linux/libc.ts';
import { READ_EVENTS } from '../linux/poller.ts';
import type { ScratchReader } from '../linux/scratch-reader.ts';
import * as is from '../linux/socket-state.ts';
import { countReceived, type SocketTable } from '../linux/socket-table.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { MissedResets } from './missed-resets.ts';
import { type Operations, POLL, RECEIVE } from './operations.ts';

/** Keeps what the kernel has received until it is read, and has it receive more or stop. */

const READS_PER_TURN = 16;
const STOWED_READ_BYTES = 16_384;
/** What a read by a system call has to bring to pay. */
const BULK_BYTES = 4096;
/** After so many in a row that brought less the ring receives again. */
const BULK_READS = 16;
/** Of `ended`: the end was received; else 0, or a negative errno. */
const FIN = 1;
const NONE = -1;

/**
 * The bytes of plain sockets come in buffers of the pool, those of TLS through its session. A socket that is read more
 * slowly than it receives stops to receive, and what it has received leaves the pool when that runs low: one socket that
 * nobody reads takes no buffer from the others.
 *
 * Sockets receive again and again into small buffers, with one operation. The kernel fills up to some 65 of them before it
 * hears that it is to stop. A socket of which much comes at once is therefore read by system calls when it is ready, as TLS
 * is: into memory that stays in the caches, from where it is sent at once.
 */
export class PoolReader implements Reader {
  bytes: Buffer;
  start = 0;
  readsPerTurn = READS_PER_TURN;
  private readonly libc: Libc;
  private readonly table: SocketTable;
  private readonly operations: Operations;
  private readonly pool: BufferPool;
  private readonly scratch: ScratchReader;
  private readonly missedResets: MissedResets;
  private readonly keptBytes: number;
  /** Received and not read, by fd: the first and the last buffer, as their numbers plus one; bytes, also of those stowed. */
  private readonly first: Int32Array;
  private readonly last: Int32Array;
  private readonly unread: Uint32Array;
  private readonly ended: Int16Array;
  /** By fd, where much comes at once: reads that may still bring little before the ring receives again. 0: that receives. */
  private readonly bulk: Uint8Array;
  /** Bytes that were taken out of the pool, because nobody reads them yet, and those of another engine. */
  private readonly inbox = new Inbox();
  /** By buffer: the next of its socket, plus one; its bytes; whose it is. */
  private readonly next: Int32Array;
  private readonly length: Uint32Array;
  private readonly owner: Int32Array;
  /** What `receive` has got last lies in this buffer of the pool. */
  private current = NONE;
  /** Those whose receive has ended, each with its generation: what is to become of them is seen before the loop waits. */
  private stopped: number[] = [];
  /** One has found no buffer since the loop has waited, or waits for one still. */
  private isScarce = false;

  /** @param keptBytes that one socket may have received and not read before it stops to receive */
  constructor(
    libc: Libc,
    table: SocketTable,
    operations: Operations,
    pool: BufferPool,
    scratch: ScratchReader,
    missedResets: MissedResets,
    keptBytes: number,
  ) {
    this.libc = libc;
    this.table = table;
    this.operations = operations;
    this.pool = pool;
    this.scratch = scratch;
    this.missedResets = missedResets;
    this.keptBytes = keptBytes;
    this.bytes = pool.memory.bytes;
    this.first = new Int32Array(table.capacity);
    this.last = new Int32Array(table.capacity);
    this.unread = new Uint32Array(table.capacity);
    this.ended = new Int16Array(table.capacity);
    this.bulk = new Uint8Array(table.capacity);
    this.next = new Int32Array(pool.count);
    this.length = new Uint32Array(pool.count);
    this.owner = new Int32Array(pool.count).fill(NONE);
  }

  // ---- reading

  receive(fd: number, flags: number): number {
    this.release();
    if ((flags & is.TLS) !== 0) return this.receiveNow(fd, flags);
    const got = this.inbox.has(fd) ? this.takeStowed(fd) : this.takeBuffer(fd);
    if (got === 0) return this.isReadNow(fd) ? this.receiveMuch(fd, flags) : this.result(fd);
    this.readsPerTurn = READS_PER_TURN;
    countReceived(this.table, fd, flags, got);
    const unread = (this.unread[fd] as number) - got;
    this.unread[fd] = unread;
    if (unread === 0 && this.ended[fd] === 0 && !this.isReadNow(fd)) {
      this.table.states.readDry(fd);
      this.goOn(fd, true);
    }
    return got;
  }

  private receiveNow(fd: number, flags: number): number {
    const { scratch } = this;
    this.bytes = scratch.bytes;
    this.start = 0;
    this.readsPerTurn = scratch.readsPerTurn;
    return scratch.receive(fd, flags);
  }

  /** Much comes at once, and nothing before it is still the ring's to receive. */
  private isReadNow(fd: number): boolean {
    return this.bulk[fd] !== 0 && this.ended[fd] === 0 && !this.operations.isUnderWay(fd, RECEIVE);
  }

  /** The poll tells of what comes behind what is read. */
  private receiveMuch(fd: number, flags: number): number {
    this.watchMuch(fd);
    const got = this.receiveNow(fd, flags);
    if (got >= BULK_BYTES) this.bulk[fd] = BULK_READS;
    else if (got > 0) this.receivedLittle(fd);
    else if (got !== -EAGAIN) this.ended[fd] = got === 0 ? FIN : got;
    return got;
  }

  private watchMuch(fd: number): void {
    if (!this.operations.isUnderWay(fd, POLL)) this.operations.poll(fd, READ_EVENTS);
  }

  private receivedLittle(fd: number): void {
    const left = (this.bulk[fd] as number) - 1;
    this.bulk[fd] = left;
    if (left > 0) return;
    this.operations.stop(fd, POLL);
    this.goOn(fd, true);
  }

  private takeBuffer(fd: number): number {
    const number = (this.first[fd] as number) - 1;
    if (number < 0) return 0;
    this.first[fd] = this.next[number] as number;
    this.owner[number] = NONE;
    this.current = number;
    this.bytes = this.pool.memory.bytes;
    this.start = this.pool.startOf(number);
    return this.length[number] as number;
  }

  private takeStowed(fd: number): number {
    const { inbox } = this;
    const got = inbox.take(fd, STOWED_READ_BYTES);
    this.bytes = inbox.bytes;
    this.start = inbox.start;
    return got;
  }

  /** Of a socket without bytes. */
  private result(fd: number): number {
    const ended = this.ended[fd] as number;
    if (ended !== 0) return ended === FIN ? 0 : ended;
    this.goOn(fd, true);
    return -EAGAIN;
  }

  /** The kernel may have more, which it gives, and the end, when nothing can follow any more. */
  hasAll(fd: number, flags: number): boolean {
    if ((flags & is.TLS) !== 0 || this.ended[fd] !== 0 || this.isReadNow(fd)) return true;
    this.libc.shutdown(fd, SHUT_RD);
    this.goOn(fd, true);
    return false;
  }

  /** The buffer that was received last, for whoever takes it along and gives it back later; -1: it is none of the pool. */
  takeAlong(): number {
    const { current } = this;
    this.current = NONE;
    return current;
  }

  /** What `receive` has got is used no more. */
  release(): void {
    if (this.current !== NONE) this.pool.giveBack(this.current);
    this.current = NONE;
  }

  // ---- receiving

  /** Receives at a socket, unless that is under way, it has ended, or it has enough that is not read. */
  goOn(fd: number, expects: boolean): void {
    if (!this.mayReceive(fd)) return;
    if (this.bulk[fd] !== 0) this.watchMuch(fd);
    else if (this.isScarce) this.resumeLater(fd);
    else this.operations.receive(fd, expects);
  }

  private mayReceive(fd: number): boolean {
    return !this.operations.isUnderWay(fd, RECEIVE) && this.ended[fd] === 0 && this.unread[fd] === 0;
  }

  /** A receive has got something, or has ended. Gives the events that are to be told, as of epoll_ctl(2); 0: none. */
  completed(fd: number, result: number, buffer: number, isLast: boolean): number {
    if (isLast) this.operations.ended(fd, RECEIVE);
    if (result > 0) return this.arrived(fd, result, buffer, isLast);
    if (buffer !== NONE) this.pool.giveBack(buffer);
    switch (result) {
      case -ENOBUFS:
        this.waitForBuffer(fd);
        return 0;
      case -ECANCELED: // for what was not read, which may have been read meanwhile
      case -EINTR:
      case -EAGAIN:
        this.resumeLater(fd);
        return 0;
      case 0:
        this.ended[fd] = FIN;
        this.operations.awaitEnd(fd);
        return EPOLLIN;
      default:
        this.ended[fd] = result;
        this.table.brokenBy[fd] = -result;
        return EPOLLIN | EPOLLERR;
    }
  }

  private arrived(fd: number, bytes: number, buffer: number, isLast: boolean): number {
    const before = this.unread[fd] as number;
    const unread = before + bytes;
    this.unread[fd] = unread;
    this.length[buffer] = bytes;
    this.owner[buffer] = fd;
    this.next[buffer] = 0;
    if (this.first[fd] === 0) this.first[fd] = buffer + 1;
    else this.next[(this.last[fd] as number) - 1] = buffer + 1;
    this.last[fd] = buffer + 1;
    if (isLast) this.resumeLater(fd);
    else this.missedResets.note(fd);
    if (!isLast && before <= this.keptBytes && unread > this.keptBytes) {
      this.bulk[fd] = BULK_READS;
      this.operations.cancel(fd, RECEIVE);
    }
    return before === 0 ? EPOLLIN : 0;
  }

  /** A receive was not found, because the kernel was at it just then. It is asked for again, or has ended meanwhile. */
  notCancelled(fd: number): void {
    const isTooMuch = (this.unread[fd] as number) > this.keptBytes;
    if (isTooMuch && this.operations.isUnderWay(fd, RECEIVE)) this.operations.cancel(fd, RECEIVE);
  }

  /** Receives again, or tells of the end, from when the loop waits. */
  resumeLater(fd: number): void {
    this.stopped.push(fd, this.table.generation[fd] as number);
  }

  /** As long as one waits, those that are read get in line behind it: else they would begin before it, and take all buffers again. */
  private waitForBuffer(fd: number): void {
    this.isScarce = true;
    this.resumeLater(fd);
  }

  /** The loop is about to wait. */
  prepare(): void {
    this.release();
    if (this.pool.isLow && !this.pool.grow()) this.makeRoom();
    if (this.stopped.length > 0) this.goOnWithStopped();
  }

  /**
   * Sockets that are not read yet only tell of their end, and receive again when they are read. The others receive again at
   * once, as many as there are buffers for. Where one has found none each receives one buffer: one that has much would take all
   * of them again and again, before the others.
   */
  private goOnWithStopped(): void {
    const { stopped, table, isScarce } = this;
    let { free } = this.pool;
    this.stopped = [];
    this.isScarce = false;
    for (let i = 0; i < stopped.length; i += 2) {
      const fd = stopped[i] as number;
      if (table.generation[fd] !== stopped[i + 1]) continue;
      if (this.unread[fd] !== 0 || this.ended[fd] !== 0) this.operations.awaitEnd(fd);
      else if (!this.mayReceive(fd)) continue;
      else if (this.bulk[fd] !== 0) this.watchMuch(fd);
      else if (free-- > 0) this.operations.receive(fd, true, isScarce);
      else this.waitForBuffer(fd);
    }
  }

  /** Some have found no buffer yet. */
  get isStarved(): boolean {
    return this.stopped.length > 0;
  }

  private makeRoom(): void {
    for (let number = 0; number < this.pool.count; number++) {
      const fd = this.owner[number] as number;
      if (fd !== NONE) this.stow(fd);
    }
  }

  /** Copies what a socket has received and not read, so that its buffers are the kernel's again. */
  private stow(fd: number): void {
    const pieces: Uint8Array[] = [];
    for (let entry = this.first[fd] as number; entry !== 0; entry = this.next[entry - 1] as number) {
      const number = entry - 1;
      const start = this.pool.startOf(number);
      pieces.push(this.pool.memory.bytes.subarray(start, start + (this.length[number] as number)));
      this.owner[number] = NONE;
      this.pool.giveBack(number);
    }
    this.first[fd] = 0;
    this.inbox.keep(fd, pieces);
  }

  clear(fd: number): void {
    for (let entry = this.first[fd] as number; entry !== 0; entry = this.next[entry - 1] as number) {
      this.owner[entry - 1] = NONE;
      this.pool.giveBack(entry - 1);
    }
    this.first[fd] = 0;
    this.unread[fd] = 0;
    this.ended[fd] = 0;
    this.bulk[fd] = 0;
    this.inbox.clear(fd);
  }

  // ---- handing over

  /** An error was received, which is not read yet. */
  hasFailed(fd: number): boolean {
    return (this.ended[fd] as number) < 0;
  }

  unreadOf(fd: number): Uint8Array {
    this.stow(fd);
    return this.inbox.copy(fd);
  }

  keep(fd: number, bytes: Uint8Array): void {
    this.inbox.keep(fd, [bytes]);
    this.unread[fd] = (this.unread[fd] as number) + bytes.length;
  }
}
