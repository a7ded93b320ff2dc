import { INCOMPLETE, MALFORMED, varintEnd, varintValue } from '../mqtt/varint.ts';

/** What breaks the framing; nothing behind it can be understood. */
export type FrameFault = 'malformed' | 'too-large';

/** Serves every session, each as its `S`. */
export interface FrameHandler<S> {
  /** A whole packet in [at, end); its body starts at `bodyAt`. */
  packet(s: S, bytes: Uint8Array, at: number, bodyAt: number, end: number): void;
  /** May an unfinished packet with this first byte and whole size be given away piece by piece, instead of kept? */
  streams(s: S, header: number, size: number): boolean;
  /** A piece of a packet that streams, in the order of the packets. */
  piece(s: S, bytes: Uint8Array, start: number, end: number, first: boolean, last: boolean): void;
  broken(s: S, fault: FrameFault): void;
}

const FIRST_CAPACITY = 64;

/**
 * Follows the packet boundaries of one direction. A packet that lies whole in what is fed is handed on from there;
 * one that is cut off at the end is kept, at most `maxPacketBytes` of it, until the rest has come, or streams.
 * Between packets nothing is held.
 */
export class Frames {
  private carry: Uint8Array | undefined;
  private carried = 0;
  /** Of the carried packet; 0 while its fixed header is unfinished. */
  private size = 0;
  private streaming = 0;
  private dead = false;

  /** Is part of a packet given away, and the rest still to come? */
  get midStream(): boolean {
    return this.streaming > 0;
  }

  get heldBytes(): number {
    return this.carried;
  }

  reset(): void {
    this.carry = undefined;
    this.carried = 0;
    this.size = 0;
    this.streaming = 0;
    this.dead = false;
  }

  feed<S>(
    s: S,
    bytes: Uint8Array,
    start: number,
    end: number,
    handler: FrameHandler<S>,
    maxPacketBytes: number,
  ): void {
    let at = start;
    if (this.streaming > 0) at = this.stream(s, bytes, at, end, handler, false);
    if (this.carried > 0) at = this.complete(s, bytes, at, end, handler, maxPacketBytes);
    while (at < end && !this.dead) {
      const bodyAt = varintEnd(bytes, at + 1, end);
      if (bodyAt < 0)
        return bodyAt === MALFORMED ? this.fail(s, 'malformed', handler) : this.keep(bytes, at, end);
      const size = bodyAt - at + varintValue(bytes, at + 1, bodyAt);
      const behind = at + size;
      if (size > maxPacketBytes || behind > end) {
        if (handler.streams(s, bytes[at] as number, size)) {
          this.streaming = size;
          at = this.stream(s, bytes, at, end, handler, true);
          continue;
        }
        if (size > maxPacketBytes) return this.fail(s, 'too-large', handler);
        this.size = size;
        return this.keep(bytes, at, end);
      }
      handler.packet(s, bytes, at, bodyAt, behind);
      at = behind;
    }
  }

  private stream<S>(
    s: S,
    bytes: Uint8Array,
    at: number,
    end: number,
    handler: FrameHandler<S>,
    first: boolean,
  ): number {
    const behind = Math.min(end, at + this.streaming);
    this.streaming -= behind - at;
    handler.piece(s, bytes, at, behind, first, this.streaming === 0);
    return behind;
  }

  /** Goes on with the carried packet; returns where the next one begins, or `end`. */
  private complete<S>(
    s: S,
    bytes: Uint8Array,
    start: number,
    end: number,
    handler: FrameHandler<S>,
    maxPacketBytes: number,
  ): number {
    let at = start;
    while (this.size === 0) {
      if (at === end) return end;
      this.keep(bytes, at, ++at);
      const carry = this.carry as Uint8Array;
      const bodyAt = varintEnd(carry, 1, this.carried);
      if (bodyAt === INCOMPLETE) continue;
      if (bodyAt === MALFORMED) {
        this.fail(s, 'malformed', handler);
        return end;
      }
      this.size = bodyAt + varintValue(carry, 1, bodyAt);
      if (handler.streams(s, carry[0] as number, this.size))
        return this.streamCarried(s, bytes, at, end, handler);
      if (this.size > maxPacketBytes) {
        this.fail(s, 'too-large', handler);
        return end;
      }
    }
    const behind = Math.min(end, at + this.size - this.carried);
    this.keep(bytes, at, behind);
    if (this.carried === this.size) {
      const carry = this.carry as Uint8Array;
      const { size } = this;
      this.reset();
      handler.packet(s, carry, 0, varintEnd(carry, 1, size), size);
    }
    return behind;
  }

  /** What is carried goes first; returns where the rest of the packet ends, or `end`. */
  private streamCarried<S>(
    s: S,
    bytes: Uint8Array,
    at: number,
    end: number,
    handler: FrameHandler<S>,
  ): number {
    const carry = this.carry as Uint8Array;
    const { carried, size } = this;
    this.reset();
    this.streaming = size - carried;
    handler.piece(s, carry, 0, carried, true, carried === size);
    return this.streaming > 0 ? this.stream(s, bytes, at, end, handler, false) : at;
  }

  private keep(bytes: Uint8Array, start: number, end: number): void {
    const length = this.carried + end - start;
    let carry = this.carry;
    if (carry === undefined || length > carry.length) {
      let capacity = FIRST_CAPACITY;
      while (capacity < length) capacity *= 2;
      const grown = new Uint8Array(capacity);
      if (carry !== undefined) grown.set(carry.subarray(0, this.carried));
      carry = grown;
      this.carry = grown;
    }
    carry.set(bytes.subarray(start, end), this.carried);
    this.carried = length;
  }

  private fail<S>(s: S, fault: FrameFault, handler: FrameHandler<S>): void {
    this.reset();
    this.dead = true;
    handler.broken(s, fault);
  }
}
