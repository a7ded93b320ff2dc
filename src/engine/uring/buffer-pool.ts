import type { Libc, Pinned } from '../linux/libc.ts';
import * as a from './abi.ts';
import { type Ring, ringError } from './ring.ts';

/** The buffers that the kernel receives into, whichever socket has something: a ring of provided buffers. */

interface BufferSizes {
  /** A power of two, at most 32,768. */
  readonly count: number;
  readonly bytes: number;
}

/** The number of the group, which receives name. */
export const GROUP = 1;
/** The kernel has so many from the beginning, and more when they have not been enough: those that it uses stay in the caches. */
const FIRST_COUNT = 256;
/** The largest page of arm64: a ring of buffers begins at a page. */
const PAGE_BYTES = 65_536;

/** Buffers of one size, of which the kernel takes the next whenever it receives something. A buffer is named by a number. */
export class BufferPool {
  readonly memory: Pinned;
  readonly count: number;
  /** Buffers that the kernel has: how many receives find one for certain. */
  free = 0;
  private readonly bytes: number;
  /** Those below are in use, here or by the kernel. */
  private used = 0;
  private readonly entries: Uint32Array;
  private readonly numbers: Uint16Array;
  private tail = 0;

  /** @throws Error where the kernel takes no ring of buffers */
  constructor(libc: Libc, ring: Ring, { count, bytes }: BufferSizes) {
    this.count = count;
    this.bytes = bytes;
    this.memory = libc.pin(count * bytes);
    const memory = libc.pin(count * a.BUFFER_BYTES + PAGE_BYTES);
    const start = Math.ceil(memory.address / PAGE_BYTES) * PAGE_BYTES;
    const at = start - memory.address;
    this.entries = new Uint32Array(memory.bytes.buffer, at, (count * a.BUFFER_BYTES) >>> 2);
    this.numbers = new Uint16Array(memory.bytes.buffer, at, (count * a.BUFFER_BYTES) >>> 1);
    const registration = libc.pin(a.BUFFER_REGISTRATION_BYTES);
    registration.bytes.writeBigUInt64LE(BigInt(start), 0);
    registration.bytes.writeUInt32LE(count, 8);
    registration.bytes.writeUInt16LE(GROUP, 12);
    const registered = ring.register(a.REGISTER_PBUF_RING, registration.address, 1);
    if (registered < 0) throw ringError('io_uring_register of a buffer ring', registered);
    this.use(Math.min(FIRST_COUNT, count));
    this.publish();
  }

  private use(count: number): void {
    for (; this.used < count; this.used++) this.giveBack(this.used);
  }

  /** Gives the kernel as many more as are in use. False: all are. */
  grow(): boolean {
    if (this.used === this.count) return false;
    this.use(Math.min(2 * this.used, this.count));
    return true;
  }

  /** Fewer than half of those in use are the kernel's. */
  get isLow(): boolean {
    return this.free < this.used / 2;
  }

  /** Where a buffer begins in `memory`. */
  startOf(number: number): number {
    return number * this.bytes;
  }

  /** The kernel has filled it. */
  taken(): void {
    this.free--;
  }

  /** The buffer is the kernel's again, from the next `publish` on. */
  giveBack(number: number): void {
    const address = this.memory.address + this.startOf(number);
    const at = (this.tail & (this.count - 1)) * (a.BUFFER_BYTES >>> 2);
    this.entries[at] = address;
    this.entries[at + 1] = Math.floor(address / 2 ** 32);
    this.entries[at + 2] = this.bytes;
    this.numbers[at * 2 + 6] = number; // behind it, in the first entry, lies the tail
    this.tail = (this.tail + 1) & 0xffff;
    this.free++;
  }

  publish(): void {
    Atomics.store(this.numbers, a.BUFFER_TAIL >>> 1, this.tail);
  }
}
