import type { Libc, Pinned } from '../linux/libc.ts';
import type { SocketTable } from '../linux/socket-table.ts';
import { type Operations, RECEIVE } from './operations.ts';

/**
 * A receive that goes on can miss a reset (seen with Linux 6.18): where bytes and the reset have come before it has its turn, it takes the
 * bytes, is told that the socket is empty, and waits for what has been already. An end is not missed: behind FIN no socket is said to be
 * empty. So those that have received something are looked at a little later, many with one poll(2).
 */

/** Longest wait before that, in milliseconds. */
const LOOK_MS = 10;
/** Waits in which something came, one after the other, before it is looked all the same. */
const BUSY_WAITS = 16;
/** `struct pollfd` (poll(2)): the descriptor; events, of which none are asked for; and which have come: POLLERR, POLLHUP, POLLNVAL. */
const POLLFD_BYTES = 8;
const RESULT_SHIFT = 16;

export class MissedResets {
  private readonly libc: Libc;
  private readonly operations: Operations;
  private readonly generation: Uint32Array;
  private memory: Pinned;
  private words: Int32Array;
  private generations: Uint32Array;
  private count = 0;
  /** By fd: the generation with which it is among those, plus one. */
  private readonly noted: Uint32Array;
  private busyWaits = 0;

  constructor(libc: Libc, { generation, capacity }: SocketTable, operations: Operations) {
    this.libc = libc;
    this.operations = operations;
    this.generation = generation;
    this.noted = new Uint32Array(capacity);
    this.memory = libc.pin(64 * POLLFD_BYTES);
    this.words = wordsOf(this.memory);
    this.generations = new Uint32Array(64);
  }

  /** It has received something, and goes on. */
  note(fd: number): void {
    const generation = this.generation[fd] as number;
    if (this.noted[fd] === generation + 1) return;
    this.noted[fd] = generation + 1;
    if (this.count === this.generations.length) this.grow();
    this.words[2 * this.count] = fd;
    this.generations[this.count++] = generation;
  }

  private grow(): void {
    const { words, generations } = this;
    this.memory = this.libc.pin(2 * generations.length * POLLFD_BYTES);
    this.words = wordsOf(this.memory);
    this.words.set(words);
    this.generations = new Uint32Array(2 * generations.length);
    this.generations.set(generations);
  }

  /** How long may be waited. */
  within(timeoutMs: number): number {
    return this.count === 0 ? timeoutMs : Math.min(timeoutMs, LOOK_MS);
  }

  /** A wait is over. Receives at sockets that were reset are cancelled: they begin anew, and fail. */
  waited(hasCome: boolean): void {
    if (this.count === 0) return;
    if (hasCome && ++this.busyWaits < BUSY_WAITS) return;
    this.busyWaits = 0;
    this.look();
  }

  private look(): void {
    const { words, generations, generation, operations } = this;
    const found = this.libc.poll(this.memory.address, this.count, 0);
    for (let i = 0; i < this.count; i++) {
      const fd = words[2 * i] as number;
      this.noted[fd] = 0;
      const isReset = found > 0 && (words[2 * i + 1] as number) >>> RESULT_SHIFT !== 0;
      if (isReset && generation[fd] === generations[i] && operations.isUnderWay(fd, RECEIVE))
        operations.cancel(fd, RECEIVE);
    }
    this.count = 0;
  }
}

function wordsOf({ bytes }: Pinned): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}
