import { Buffer } from 'node:buffer'; // the global is a getter, and this runs for every device
import { copyBytes } from '../base/bytes.ts';

/**
 * Bytes kept in order because nobody can take them yet. Grows with what arrives, never with what was announced:
 * a device that claims a large packet costs only what it really sends.
 */
export class HeldBytes {
  /** Valid up to `length`. */
  bytes: Buffer = EMPTY;
  length = 0;

  append(bytes: Uint8Array, start: number, end: number): void {
    const needed = this.length + end - start;
    if (needed > this.bytes.length) {
      // The first piece is nearly always a whole CONNECT: exact size then, doubling afterwards.
      const grown = Buffer.allocUnsafe(this.length === 0 ? needed : Math.max(needed, 2 * this.bytes.length));
      copyBytes(this.bytes, 0, this.length, grown, 0);
      this.bytes = grown;
    }
    copyBytes(bytes, start, end, this.bytes, this.length);
    this.length = needed;
  }
}

const EMPTY = Buffer.alloc(0);
