import { INCOMPLETE, MALFORMED, varintEnd, varintValue } from '../mqtt/varint.ts';
import { KeptBytes } from './kept-bytes.ts';

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
  /** What broke the framing, and then all that follows it, as it comes. */
  rest(s: S, bytes: Uint8Array, start: number, end: number): void;
}

const FIRST_CAPACITY = 64;
const BROKEN = -1;

/**
 * Follows the packet boundaries of one direction. A packet that lies whole in what is fed is handed on from there;
 * one that is cut off at the end is kept, at most `maxPacketBytes` of it, until the rest has come, or streams.
 * Between packets nothing is held.
 */
export class Frames {
  private partial: KeptBytes | undefined;
  /** Of the partial packet; 0 while its fixed header is unfinished. */
  private size = 0;
  /** Bytes still to come of a packet of which the first part is given away; BROKEN when nothing more is understood. */
  private streaming = 0;

  /** Is part of a packet given away, and the rest still to come? */
  get midStream(): boolean {
    return this.streaming > 0;
  }

  /** Between packets: nothing is held, and nothing is wrong. */
  get isIdle(): boolean {
    return this.partial === undefined && this.streaming === 0;
  }

  get keptBytes(): number {
    return this.partial?.length ?? 0;
  }

  reset(): void {
    this.partial = undefined;
    this.size = 0;
    this.streaming = 0;
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
    if (this.streaming === BROKEN) return handler.rest(s, bytes, start, end);
    if (this.streaming > 0) at = this.stream(s, bytes, at, end, handler, false);
    if (this.partial !== undefined) at = this.complete(s, bytes, at, end, handler, maxPacketBytes);
    while (at < end && this.streaming !== BROKEN) {
      const bodyAt = varintEnd(bytes, at + 1, end);
      if (bodyAt === MALFORMED) return this.fail(s, 'malformed', handler, bytes, at, end);
      if (bodyAt === INCOMPLETE) return this.keep(bytes, at, end);
      const size = bodyAt - at + varintValue(bytes, at + 1, bodyAt);
      const behind = at + size;
      if (size <= maxPacketBytes && behind <= end) {
        handler.packet(s, bytes, at, bodyAt, behind);
        at = behind;
      } else if (handler.streams(s, bytes[at] as number, size)) {
        this.streaming = size;
        at = this.stream(s, bytes, at, end, handler, true);
      } else if (size <= maxPacketBytes) {
        this.size = size;
        return this.keep(bytes, at, end);
      } else {
        return this.fail(s, 'too-large', handler, bytes, at, end);
      }
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

  /** Goes on with the partial packet; returns where the next one begins, or `end`. */
  private complete<S>(
    s: S,
    bytes: Uint8Array,
    start: number,
    end: number,
    handler: FrameHandler<S>,
    maxPacketBytes: number,
  ): number {
    const partial = this.partial as KeptBytes;
    let at = start;
    while (this.size === 0) {
      if (at === end) return end;
      partial.append(bytes, at, ++at);
      const bodyAt = varintEnd(partial.bytes, 1, partial.length);
      if (bodyAt === INCOMPLETE) continue;
      if (bodyAt === MALFORMED) {
        this.fail(s, 'malformed', handler, partial.bytes, 0, partial.length);
        if (at < end) handler.rest(s, bytes, at, end);
        return end;
      }
      const size = bodyAt + varintValue(partial.bytes, 1, bodyAt);
      if (handler.streams(s, partial.bytes[0] as number, size)) {
        this.partial = undefined;
        this.streaming = size;
        this.stream(s, partial.bytes, 0, partial.length, handler, true);
        return this.streaming > 0 && at < end ? this.stream(s, bytes, at, end, handler, false) : at;
      }
      if (size > maxPacketBytes) {
        this.fail(s, 'too-large', handler, partial.bytes, 0, partial.length);
        if (at < end) handler.rest(s, bytes, at, end);
        return end;
      }
      this.size = size;
    }
    const behind = Math.min(end, at + this.size - partial.length);
    partial.append(bytes, at, behind);
    if (partial.length === this.size) {
      this.reset();
      handler.packet(s, partial.bytes, 0, varintEnd(partial.bytes, 1, partial.length), partial.length);
    }
    return behind;
  }

  private keep(bytes: Uint8Array, start: number, end: number): void {
    this.partial = new KeptBytes(FIRST_CAPACITY);
    this.partial.append(bytes, start, end);
  }

  private fail<S>(
    s: S,
    fault: FrameFault,
    handler: FrameHandler<S>,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.reset();
    this.streaming = BROKEN;
    handler.broken(s, fault);
    handler.rest(s, bytes, start, end);
  }
}
