import { errnoName, type Libc, type Pinned } from '../linux/libc.ts';
import * as a from './abi.ts';
import type { Ring } from './ring.ts';

/** The buffers that the kernel receives into, whichever socket has something: rings of provided buffers. */

interface BufferSizes {
  /** A power of two, at most 32,768. */
  readonly count: number;
  readonly bytes: number;
}

/** The numbers of the two groups, which receives name. */
export const SMALL = 1;
export const LARGE = 2;
/** The largest page of arm64: a ring of buffers begins at a page. */
const PAGE_BYTES = 65_536;

/** Small and large buffers. A buffer is named by a number, those of the large ones are behind those of the small ones. */
export class BufferPool {
  readonly memory: Pinned;
  readonly count: number;
  private readonly small: BufferRing;
  private readonly large: BufferRing;

  /** @throws Error where the kernel takes no ring of buffers */
  constructor(libc: Libc, ring: Ring, small: BufferSizes, large: BufferSizes) {
    const smallBytes = small.count * small.bytes;
    this.memory = libc.pin(smallBytes + large.count * large.bytes);
    this.count = small.count + large.count;
    const { address } = this.memory;
    this.small = new BufferRing(libc, ring, SMALL, small, address, 0);
    this.large = new BufferRing(libc, ring, LARGE, large, address + smallBytes, small.count);
  }

  private ringOf(number: number): BufferRing {
    return number < this.large.firstNumber ? this.small : this.large;
  }

  /** Where a buffer begins in `memory`. */
  startOf(number: number): number {
    return this.ringOf(number).addressOf(number) - this.memory.address;
  }

  /** The kernel has filled it. */
  taken(number: number): void {
    this.ringOf(number).free--;
  }

  /** The buffer is the kernel's again, from the next `publish` on. */
  giveBack(number: number): void {
    this.ringOf(number).add(number);
  }

  publish(): void {
    this.small.publish();
    this.large.publish();
  }

  /** Fewer than half are the kernel's. */
  get isLow(): boolean {
    return this.small.isLow || this.large.isLow;
  }

  /** How many receives find a buffer for certain. */
  get free(): number {
    return Math.min(this.small.free, this.large.free);
  }

  /** Whether a receive of so many bytes would have fitted into a small one. */
  isSmall(bytes: number): boolean {
    return bytes < this.small.bytes;
  }
}

/** Buffers of one size, of which the kernel takes the next whenever it receives something. */
class BufferRing {
  readonly firstNumber: number;
  readonly bytes: number;
  /** Buffers that the kernel has. */
  free = 0;
  private readonly count: number;
  private readonly address: number;
  private readonly entries: Uint32Array;
  private readonly numbers: Uint16Array;
  private tail = 0;

  constructor(
    libc: Libc,
    ring: Ring,
    group: number,
    { count, bytes }: BufferSizes,
    address: number,
    firstNumber: number,
  ) {
    this.count = count;
    this.bytes = bytes;
    this.address = address;
    this.firstNumber = firstNumber;
    const memory = libc.pin(count * a.BUFFER_BYTES + PAGE_BYTES);
    const start = Math.ceil(memory.address / PAGE_BYTES) * PAGE_BYTES;
    const at = start - memory.address;
    this.entries = new Uint32Array(memory.bytes.buffer, at, (count * a.BUFFER_BYTES) >>> 2);
    this.numbers = new Uint16Array(memory.bytes.buffer, at, (count * a.BUFFER_BYTES) >>> 1);
    const registration = libc.pin(a.BUFFER_REGISTRATION_BYTES);
    registration.bytes.writeBigUInt64LE(BigInt(start), 0);
    registration.bytes.writeUInt32LE(count, 8);
    registration.bytes.writeUInt16LE(group, 12);
    const registered = ring.register(a.REGISTER_PBUF_RING, registration.address, 1);
    if (registered < 0) throw new Error(`io_uring_register of a buffer ring: ${errnoName(registered)}`);
    for (let number = 0; number < count; number++) this.add(firstNumber + number);
    this.publish();
  }

  get isLow(): boolean {
    return this.free < this.count / 2;
  }

  addressOf(number: number): number {
    return this.address + (number - this.firstNumber) * this.bytes;
  }

  add(number: number): void {
    const address = this.addressOf(number);
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
