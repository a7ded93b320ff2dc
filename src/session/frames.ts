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
  /** May one more packet be handed on in this call? */
  goesOn(s: S): boolean;
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
  /** Packets that were too many for one call, until `goOn`. */
  private left: KeptBytes | undefined;

  /** Is part of a packet given away, and the rest still to come? */
  get midStream(): boolean {
    return this.streaming > 0;
  }

  /** Between packets: nothing is held, and nothing is wrong. */
  get isIdle(): boolean {
    return this.partial === undefined && this.streaming === 0 && this.left === undefined;
  }

  /** Has the handler had enough before all was handed on? */
  get hasLeft(): boolean {
    return this.left !== undefined;
  }

  get keptBytes(): number {
    return (this.partial?.length ?? 0) + (this.left?.length ?? 0);
  }

  /** Overwrites what is kept. */
  wipe(): void {
    this.partial?.bytes.fill(0);
    this.left?.bytes.fill(0);
  }

  reset(): void {
    this.partial = undefined;
    this.size = 0;
    this.streaming = 0;
  }

  /** Hands on what has come, and keeps what is left where the handler has had enough. */
  feed<S>(
    s: S,
    bytes: Uint8Array,
    start: number,
    end: number,
    handler: FrameHandler<S>,
    maxPacketBytes: number,
  ): void {
    if (this.left !== undefined) return this.left.append(bytes, start, end);
    const at = this.take(s, bytes, start, end, handler, maxPacketBytes);
    if (at === end) return;
    this.left = new KeptBytes(end - at);
    this.left.append(bytes, at, end);
  }

  /** Hands on what was left. */
  goOn<S>(s: S, handler: FrameHandler<S>, maxPacketBytes: number): void {
    const { left } = this;
    if (left === undefined) return;
    left.takenTo(this.take(s, left.bytes, left.start, left.end, handler, maxPacketBytes));
    if (left.length === 0) this.left = undefined;
  }

  /** Returns up to where it was taken: `end`, unless the handler has had enough. */
  private take<S>(
    s: S,
    bytes: Uint8Array,
    start: number,
    end: number,
    handler: FrameHandler<S>,
    maxPacketBytes: number,
  ): number {
    let at = start;
    if (this.streaming === BROKEN) {
      handler.rest(s, bytes, start, end);
      return end;
    }
    if (this.streaming > 0) at = this.stream(s, bytes, at, end, handler, false);
    if (this.partial !== undefined) at = this.complete(s, bytes, at, end, handler, maxPacketBytes);
    while (at < end && this.streaming !== BROKEN && handler.goesOn(s)) {
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
    return at;
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

  /** Returns `end`. */
  private keep(bytes: Uint8Array, start: number, end: number): number {
    this.partial = new KeptBytes(FIRST_CAPACITY);
    this.partial.append(bytes, start, end);
    return end;
  }

  /** Returns `end`. */
  private fail<S>(
    s: S,
    fault: FrameFault,
    handler: FrameHandler<S>,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): number {
    this.reset();
    this.streaming = BROKEN;
    handler.broken(s, fault);
    handler.rest(s, bytes, start, end);
    return end;
  }
}
