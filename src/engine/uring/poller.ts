import { ECANCELED, EPOLLET, EPOLLHUP } from '../linux/libc.ts';
import type { Poller } from '../linux/poller.ts';
import type { SocketTable } from '../linux/socket-table.ts';
import * as a from './abi.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { MissedResets } from './missed-resets.ts';
import { CANCEL, fdOf, kindOf, type Operations, POLL, RECEIVE, SEND } from './operations.ts';
import type { PoolReader } from './reader.ts';
import type { Ring } from './ring.ts';
import type { BatchWriter } from './writer.ts';

/** Turns the completions of a ring into the events that the loop serves. */

/** A look takes some 70 nanoseconds, so this is as long as epoll looks. */
const LOOKS = 110;
const STRIDE = 3;
const EVENTS = 1024;
/** Of a turn in which some have much: as many as epoll tells of. */
const EVENTS_MAX = 512;
/** A receive that the kernel is at just then is not found. It fills some 30 buffers more, and is found the next time. */
const CANCELS_MAX = 8;

/** Who receives and sends. */
interface Streams {
  readonly pool: BufferPool;
  readonly reader: PoolReader;
  readonly writer: BatchWriter;
  readonly missedResets: MissedResets;
}

/**
 * Waits for completions, once a turn of the loop, with the system call that submits what the turn has gathered. Events are
 * told by descriptor and generation as epoll's are: bytes that were received, or an end, make a socket readable.
 */
export class RingPoller implements Poller {
  words = new Uint32Array(STRIDE * EVENTS);
  readonly stride = STRIDE;
  readonly fdAt = 1;
  readonly generationAt = 2;
  readonly looks = LOOKS;
  readonly keepsWatching = false;
  streams: Streams | undefined;
  private readonly ring: Ring;
  private readonly operations: Operations;
  private readonly generation: Uint32Array;
  /** What is told as long as it holds, by fd: it is polled once, and again when the loop has served it. */
  private readonly levels = new Map<number, number>();
  private readonly served: number[] = [];
  /** Polls that go on before the loop waits, each with its generation: before that they would find no room again. */
  private readonly interrupted: number[] = [];
  private count = 0;
  /** The first so many were given to the loop. Those behind them are given next. */
  private given = 0;
  private isClosed = false;

  constructor(ring: Ring, operations: Operations, { generation }: Pick<SocketTable, 'generation'>) {
    this.ring = ring;
    this.operations = operations;
    this.generation = generation;
  }

  // ---- descriptors. Their generations are those of the socket table.

  add(fd: number, _generation: number, events: number): number {
    if (this.isClosed) return 0;
    if ((events & EPOLLET) === 0) this.levels.set(fd, events);
    if (events !== 0) this.operations.poll(fd, events);
    return 0;
  }

  modify(fd: number, generation: number, events: number): number {
    this.remove(fd);
    return this.add(fd, generation, events);
  }

  isLetGo(fd: number): boolean {
    return this.operations.isLetGo(fd);
  }

  remove(fd: number): void {
    if (!this.isClosed) this.operations.stop(fd, POLL);
  }

  forget(fd: number): void {
    if (this.isClosed) return;
    this.operations.forget(fd);
    // A listening socket accepts until it is closed, which is when nothing is under way at it.
    if (this.levels.delete(fd)) this.ring.workOff();
  }

  // ---- waiting

  wait(timeoutMs: number): number {
    return this.sleep(timeoutMs, false);
  }

  gather(timeoutMs: number): number {
    return this.sleep(timeoutMs, true);
  }

  private sleep(timeoutMs: number, gathers: boolean): number {
    this.prepare();
    const isUrgent = this.streams?.reader.isStarved === true || this.hasMore;
    const { missedResets } = this.streams ?? {};
    this.ring.enter(isUrgent ? 0 : (missedResets?.within(timeoutMs) ?? timeoutMs), gathers);
    const count = this.collect();
    missedResets?.waited(count > 0);
    return timeoutMs === 0 ? this.collectMore() : count;
  }

  look(): number {
    this.prepare();
    if (!this.ring.hasPending && !this.ring.hasNews && !this.hasMore) return 0;
    this.ring.enter(0);
    const count = this.collect();
    if (count > 0) this.streams?.missedResets.waited(true);
    return count;
  }

  private prepare(): void {
    const { served, streams } = this;
    for (let i = 0; i < served.length; i++) {
      const fd = served[i] as number;
      const events = this.levels.get(fd) ?? 0;
      if (events !== 0 && !this.operations.isUnderWay(fd, POLL)) this.operations.poll(fd, events);
    }
    served.length = 0;
    if (this.interrupted.length > 0) this.pollAgain();
    if (streams === undefined) return;
    streams.writer.submit();
    streams.reader.prepare();
    streams.pool.publish();
  }

  private pollAgain(): void {
    const { interrupted } = this;
    for (let i = 0; i < interrupted.length; i += 3) {
      const fd = interrupted[i] as number;
      if (this.generation[fd] === interrupted[i + 2])
        this.operations.pollAgain(fd, interrupted[i + 1] as number);
    }
    interrupted.length = 0;
  }

  /** All that has completed, and so all sends that fell short: those that nothing is told of were taken whole. */
  private collect(): number {
    if (this.hasMore) this.words.copyWithin(0, STRIDE * this.given, STRIDE * this.count);
    this.count -= this.given;
    this.fetch();
    this.streams?.writer.settle();
    this.given = this.count;
    return this.count;
  }

  /**
   * The kernel tells of some 20 sockets in one call. A turn that serves those who have much may take long, and until the next one
   * all others would wait, as many turns as there are twenties of them.
   */
  private collectMore(): number {
    const { ring } = this;
    while (ring.isBehind && this.count < EVENTS_MAX && this.streams?.pool.isLow === false) {
      ring.enter(0);
      this.fetch();
    }
    this.given = this.count;
    return this.count;
  }

  private get hasMore(): boolean {
    return this.count > this.given;
  }

  private fetch(): void {
    this.ring.submit(); // what the kernel has left, sends among it
    this.drain();
    while (this.ring.isOverflown) {
      this.ring.enter(0);
      this.drain();
    }
  }

  /** Sees what has become of sends: it was not seen where a fault has left the loop while it waited. */
  settleSends(): void {
    const { writer } = this.streams as Streams;
    if (!writer.isUnsettled) return;
    this.fetch();
    writer.settle();
  }

  /**
   * Ends the receives that are under way at these sockets, at once. What is told meanwhile, of them and of others, is given by the
   * next wait. False: one was not to be ended.
   */
  endReceives(fds: readonly number[]): boolean {
    const { operations } = this;
    for (let cancels = 0; cancels < CANCELS_MAX; cancels++) {
      const open = fds.filter((fd) => operations.isUnderWay(fd, RECEIVE));
      if (open.length === 0) return true;
      for (const fd of open) operations.cancel(fd, RECEIVE);
      this.ring.workOff();
      this.fetch();
    }
    return !fds.some((fd) => operations.isUnderWay(fd, RECEIVE));
  }

  private drain(): void {
    const { ring } = this;
    const { completed, completedMask } = ring;
    const { end } = ring;
    let { head } = ring;
    for (; head !== end; head = (head + 1) | 0) {
      const at = (head & completedMask) * a.CQE_WORDS;
      this.complete(
        completed[at] as number,
        (completed[at + 1] as number) >>> 0,
        completed[at + 2] as number,
        completed[at + 3] as number,
      );
    }
    ring.seen(head);
  }

  private complete(low: number, generation: number, result: number, flags: number): void {
    const kind = kindOf(low);
    const fd = fdOf(low);
    if (kind === RECEIVE) this.received(fd, generation, result, flags);
    else if (kind === SEND) this.streams?.writer.fellShort(fd, result);
    else if (this.generation[fd] !== generation) {
      if (kind === CANCEL) this.operations.cancelAgain(fd, generation);
    } else if (kind === CANCEL) this.streams?.reader.notCancelled(fd);
    else if (result !== -ECANCELED) this.polled(fd, kind, result, (flags & a.CQE_MORE) === 0);
  }

  private received(fd: number, generation: number, result: number, flags: number): void {
    const { pool, reader } = this.streams as Streams;
    const buffer = (flags & a.CQE_BUFFER) === 0 ? -1 : flags >>> a.CQE_BUFFER_SHIFT;
    const isLast = (flags & a.CQE_MORE) === 0;
    if (buffer >= 0) pool.taken();
    if (this.generation[fd] === generation) {
      const events = reader.completed(fd, result, buffer, isLast);
      if (events !== 0) this.tell(fd, events);
      return;
    }
    if (buffer >= 0) pool.giveBack(buffer);
    if (isLast) this.operations.lingered(fd);
  }

  private polled(fd: number, kind: number, result: number, isLast: boolean): void {
    if (isLast && this.operations.pollEnded(fd, kind))
      this.interrupted.push(fd, kind, this.generation[fd] as number);
    if (this.levels.has(fd)) this.served.push(fd);
    this.tell(fd, result < 0 ? EPOLLHUP : result); // a poll that failed: whoever reads finds out why
  }

  private tell(fd: number, events: number): void {
    const at = STRIDE * this.count++;
    if (at === this.words.length) this.grow();
    this.words[at] = events;
    this.words[at + 1] = fd;
    this.words[at + 2] = this.generation[fd] as number;
  }

  /** Sockets are told of once or twice in a turn, so there is an end to it. */
  private grow(): void {
    const words = new Uint32Array(2 * this.words.length);
    words.set(this.words);
    this.words = words;
  }

  close(): void {
    this.prepare();
    this.ring.submit();
    this.isClosed = true;
    this.ring.close();
  }
}
