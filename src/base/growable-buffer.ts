/** A buffer of bytes that grows as they come, with little waste and few copies. */

import { Buffer } from 'node:buffer'; // the global is a getter, and this runs for every device
import { copyBytes } from './bytes.ts';

/**
 * Bytes kept one behind another, in [start, end) of memory that grows with what arrives, never with what was announced: a
 * device that claims a large packet costs only what it really sends. Its owner bounds them.
 */
export class GrowableBuffer {
  bytes: Buffer;
  start = 0;
  end = 0;

  /** @param capacity a first guess; without one the first piece decides, which is nearly always a whole CONNECT */
  constructor(capacity = 0) {
    this.bytes = capacity === 0 ? EMPTY : Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.end - this.start;
  }

  append(bytes: Uint8Array, start: number, end: number): void {
    if (this.end + end - start > this.bytes.length) this.makeRoom(end - start);
    copyBytes(bytes, start, end, this.bytes, this.end);
    this.end += end - start;
  }

  /** What is kept, in memory of its own. */
  get copy(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(this.start, this.end));
  }

  /** The bytes before this offset are not needed any more. */
  takenTo(offset: number): void {
    this.start = offset;
  }

  /** Moves what is kept to the front, where that leaves half of the memory free, or to the front of larger memory. */
  private makeRoom(more: number): void {
    const { length } = this;
    const needed = (length + more) * (this.start > 0 ? 2 : 1);
    const capacity = this.bytes.length;
    const isEnough = needed <= capacity;
    const to = isEnough
      ? this.bytes
      : Buffer.allocUnsafe(capacity === 0 ? needed : Math.max(needed, 2 * capacity));
    this.bytes.copy(to, 0, this.start, this.end);
    this.bytes = to;
    this.end = length;
    this.start = 0;
  }
}

/** A buffer that keeps a copy of these bytes. */
export function bufferOf(bytes: Uint8Array): GrowableBuffer {
  const buffer = new GrowableBuffer(bytes.length);
  buffer.append(bytes, 0, bytes.length);
  return buffer;
}

const EMPTY = Buffer.alloc(0);
