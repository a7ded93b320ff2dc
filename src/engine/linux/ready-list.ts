/** Shares the time of one turn among sockets that have more to read than is read at once. */

import type { Clock } from '../../base/time.ts';
import { QUEUED, READABLE, type SocketFlags, type SocketStates } from './socket-state.ts';

/** Who sends so much at once does so again. */
const MUCH_BYTES = 8192;
/** Of one turn, for those who send much. */
const MUCH_MS = 2;

/** The sockets that are known to be readable, each once, until they are served. */
export class ReadyList {
  private readonly states: SocketStates;
  private readonly flags: SocketFlags;
  // Their lengths never shrink, because V8 would let go of the memory and take it anew, turn by turn.
  private waiting: number[] = [];
  private count = 0;
  private serving: number[] = [];
  private servingCount = 0;
  private at = 0;

  constructor(states: SocketStates) {
    this.states = states;
    this.flags = states.flags;
  }

  get isEmpty(): boolean {
    return this.count === 0 && this.at === this.servingCount;
  }

  /** Queues the socket if it is readable. */
  add(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & (READABLE | QUEUED)) !== READABLE) return;
    this.states.enqueue(fd);
    this.waiting[this.count++] = fd;
  }

  /** Serves those that are queued. Those that are added meanwhile wait for the next call. */
  serve(each: (fd: number) => void): void {
    this.next();
    while (this.at < this.servingCount) this.serveNext(each);
  }

  /** Serves those that are queued for so many ms, at least one, and the others in later calls, before those that are added meanwhile. */
  serveFor(ms: number, clock: Clock, each: (fd: number) => void): void {
    this.next();
    const endsAtMs = clock.now() + ms;
    while (this.at < this.servingCount) {
      this.serveNext(each);
      if (clock.now() >= endsAtMs) return;
    }
  }

  private serveNext(each: (fd: number) => void): void {
    const fd = this.serving[this.at++] as number;
    if (((this.flags[fd] as number) & QUEUED) === 0) return; // closed since
    this.states.dequeue(fd);
    each(fd);
  }

  /** Unless some are left of those that were served last. */
  private next(): void {
    if (this.at < this.servingCount) return;
    const { serving } = this;
    this.serving = this.waiting;
    this.servingCount = this.count;
    this.at = 0;
    this.waiting = serving;
    this.count = 0;
  }
}

/**
 * Readable sockets that were not read to the end. Those that send little are read first, in each turn; those that send much share a
 * bounded time of it. So a device that says a word now and then need not wait until all the others have had their part of a turn.
 */
export class ReadyReads {
  private readonly little: ReadyList;
  private readonly much: ReadyList;
  /** By fd: 1 where the last read brought much. */
  private readonly broughtMuch: Uint8Array;

  constructor(states: SocketStates, capacity: number) {
    this.little = new ReadyList(states);
    this.much = new ReadyList(states);
    this.broughtMuch = new Uint8Array(capacity);
  }

  get isEmpty(): boolean {
    return this.little.isEmpty && this.much.isEmpty;
  }

  /** A read has brought so many bytes, or (negative) none yet. */
  brought(fd: number, bytes: number): void {
    if (bytes >= 0) this.broughtMuch[fd] = bytes >= MUCH_BYTES ? 1 : 0;
  }

  /** Whether it sends so much that others are read before it. */
  waits(fd: number): boolean {
    return this.broughtMuch[fd] !== 0;
  }

  /** Queues the socket if it is readable. */
  add(fd: number): void {
    (this.waits(fd) ? this.much : this.little).add(fd);
  }

  serve(clock: Clock, each: (fd: number) => void): void {
    if (!this.little.isEmpty) this.little.serve(each);
    if (!this.much.isEmpty) this.much.serveFor(MUCH_MS, clock, each);
  }
}
