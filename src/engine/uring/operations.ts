import { EPOLLET, EPOLLOUT } from '../linux/libc.ts';
import { STREAM_EVENTS } from '../linux/poller.ts';
import type { SocketTable } from '../linux/socket-table.ts';
import * as a from './abi.ts';
import { GROUP } from './buffer-pool.ts';
import type { Ring } from './ring.ts';

/**
 * The operations that are under way at each descriptor. A completion names its descriptor, the generation that this had, and
 * what it was: one that comes when the descriptor has been closed finds another generation, and is nobody's.
 */

/** What a completion is of; as a bit, what is under way. */
export const POLL = 1; // readiness, as with epoll
export const RECEIVE = 2;
const ROOM = 4; // bytes can be sent again
export const END = 8; // the socket has an error, or has ended; for one that nothing is received from
/** The number of a send takes the place of the descriptor. */
export const SEND = 16;
/** Beside POLL, not as a kind: it is told again and again, as ROOM and END always are. */
const EDGE = 32;
export const CANCEL = 64;

/** The low word of the user data: the descriptor, which is below 2^20 (`DESCRIPTORS_MAX`), and above it the kind. */
const KIND_SHIFT = 20;
const FD_MASK = (1 << KIND_SHIFT) - 1;

export const kindOf = (low: number): number => low >>> KIND_SHIFT;
export const fdOf = (low: number): number => low & FD_MASK;

const skipped = (a.OP_ASYNC_CANCEL | (a.SQE_SKIP_SUCCESS << 8)) >>> 0;
const receive = a.OP_RECV | (a.SQE_BUFFER_SELECT << 8);

export class Operations {
  private readonly ring: Ring;
  private readonly generation: Uint32Array;
  /** Kinds, by fd, of its present generation. */
  private readonly underWay: Uint8Array;
  /** The submission that was taken last, by fd. */
  private readonly newest: Int32Array;
  /** Receives of former generations whose last completion has not come, by fd. */
  private readonly lingering: Uint16Array;

  constructor(ring: Ring, { generation, capacity }: Pick<SocketTable, 'generation' | 'capacity'>) {
    this.ring = ring;
    this.generation = generation;
    this.underWay = new Uint8Array(capacity);
    this.newest = new Int32Array(capacity);
    this.lingering = new Uint16Array(capacity);
  }

  isUnderWay(fd: number, kind: number): boolean {
    return ((this.underWay[fd] as number) & kind) !== 0;
  }

  /** Its last completion has come. */
  ended(fd: number, kind: number): void {
    this.underWay[fd] = (this.underWay[fd] as number) & ~kind;
  }

  /** The last completion of a poll has come. Whether it was to go on: the kernel has ended it, for want of room. */
  pollEnded(fd: number, kind: number): boolean {
    const goesOn = kind !== POLL || this.isUnderWay(fd, EDGE);
    this.ended(fd, kind === POLL ? POLL | EDGE : kind);
    return goesOn;
  }

  /** A poll that was to go on does. */
  pollAgain(fd: number, kind: number): void {
    if (kind === POLL) this.poll(fd, STREAM_EVENTS);
    else if (kind === ROOM) this.awaitRoom(fd);
    else this.awaitEnd(fd);
  }

  /** Tells of events of epoll_ctl(2): with EPOLLET again and again, else once. */
  poll(fd: number, events: number): void {
    if ((events & EPOLLET) === 0) {
      this.ring.words[this.begin(a.OP_POLL_ADD, fd, POLL) + a.SQE_FLAGS] = events;
      return;
    }
    this.pollOn(fd, POLL, events);
    this.underWay[fd] = (this.underWay[fd] as number) | EDGE;
  }

  /**
   * Tells that the socket takes bytes again, or has failed. Whatever it is to tell, a poll tells of the other end's FIN too: one
   * that tells once would end with that, where FIN has come, and room would never be told.
   */
  awaitRoom(fd: number): void {
    if (!this.isUnderWay(fd, ROOM)) this.pollOn(fd, ROOM, EPOLLOUT);
  }

  /** Tells that the socket has failed, or has ended, which a poll tells whatever else it is to tell. */
  awaitEnd(fd: number): void {
    if (!this.isUnderWay(fd, END)) this.pollOn(fd, END, 0);
  }

  /** Tells of every change. */
  private pollOn(fd: number, kind: number, events: number): void {
    const at = this.begin(a.OP_POLL_ADD, fd, kind);
    this.ring.words[at + a.SQE_FLAGS] = events | EPOLLET;
    this.ring.words[at + a.SQE_LENGTH] = a.POLL_MULTISHOT;
  }

  /**
   * Receives again and again, until it is cancelled or the kernel ends it.
   * @param expects something is probably there
   * @param isOnce it takes one buffer
   */
  receive(fd: number, expects: boolean, isOnce = false): void {
    const priority = (expects ? 0 : a.RECV_POLL_FIRST) | (isOnce ? 0 : a.RECV_MULTISHOT);
    const at = this.begin(receive | (priority << 16), fd, RECEIVE);
    this.ring.words[at + a.SQE_BUFFER_GROUP] = GROUP;
  }

  private begin(operation: number, fd: number, kind: number): number {
    const { ring } = this;
    this.underWay[fd] = (this.underWay[fd] as number) | kind;
    const at = ring.take(operation, fd, this.low(fd, kind), this.generation[fd] as number);
    this.newest[fd] = ring.sequence;
    return at;
  }

  private low(fd: number, kind: number): number {
    return ((kind << KIND_SHIFT) | fd) >>> 0;
  }

  /** Sends what is at an address: bytes, or a `struct msghdr`. A completion comes only where not all of it was taken. */
  send(operation: number, fd: number, address: number, length: number, flags: number, send: number): void {
    const { ring } = this;
    const at = ring.take(operation | (a.SQE_SKIP_SUCCESS << 8), fd, this.low(send, SEND), 0);
    ring.setAddress(at, address);
    ring.words[at + a.SQE_LENGTH] = length;
    ring.words[at + a.SQE_FLAGS] = flags;
  }

  /** Its last completion is still to come, and `ended` is to be called then; or one of CANCEL, if it was not found. */
  cancel(fd: number, kind: number, generation = this.generation[fd] as number): void {
    const { ring } = this;
    const at = ring.take(skipped, -1, this.low(fd, CANCEL), generation);
    ring.words[at + a.SQE_ADDRESS] = this.low(fd, kind);
    ring.words[at + a.SQE_ADDRESS + 1] = generation;
  }

  /**
   * Cancels all that is under way, before the descriptor is closed: a socket lives as long as an operation at it does. What
   * was not submitted yet is, or it would begin at the next socket of this number.
   */
  forget(fd: number): void {
    if (this.ring.isPending(this.newest[fd] as number)) this.ring.submit();
    const kinds = this.underWay[fd] as number;
    if (kinds === 0) return;
    for (let kind = POLL; kind <= END; kind <<= 1) if ((kinds & kind) !== 0) this.cancel(fd, kind);
    if ((kinds & RECEIVE) !== 0) this.lingering[fd] = (this.lingering[fd] as number) + 1;
    this.underWay[fd] = 0;
  }

  /** The last completion of a former generation's receive has come. */
  lingered(fd: number): void {
    this.lingering[fd] = (this.lingering[fd] as number) - 1;
  }

  /** No receive of a former generation is under way, which would take what the socket receives if that is connected anew. */
  isLetGo(fd: number): boolean {
    return this.lingering[fd] === 0;
  }

  /**
   * A cancel of a former generation has found nothing. A receive that waits for its turn within the kernel is not found, and
   * would keep the socket open.
   */
  cancelAgain(fd: number, generation: number): void {
    if (!this.isLetGo(fd)) this.cancel(fd, RECEIVE, generation);
  }

  /** The descriptor stays, under the same generation. */
  stop(fd: number, kind: number): void {
    if (!this.isUnderWay(fd, kind)) return;
    this.cancel(fd, kind);
    this.ended(fd, kind | EDGE);
  }
}
