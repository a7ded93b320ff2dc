import { bufferOf, GrowableBuffer } from '../base/growable-buffer.ts';
import { INCOMPLETE, MALFORMED, varintEnd, varintValue } from '../protocol/mqtt/varint.ts';
import type { HandedFrames } from './handed.ts';

/** What breaks the framing; nothing behind it can be understood. */
type FrameFault = 'malformed' | 'too-large';

/** What to do with a packet whose end has not come. */
type Unfinished = 'keep' | 'stream' | 'refuse';

/** Serves every session, each as its `S`. */
export interface FrameHandler<S> {
  /** A whole packet in [at, end); its body starts at `bodyAt`. */
  packet(s: S, bytes: Uint8Array, at: number, bodyAt: number, end: number): void;
  /**
   * Of an unfinished packet of `size` bytes [at, known) has come. `keep` until it is whole, or, where it is larger than
   * may be kept, until more of it is known; `stream`: it is given away piece by piece; `refuse`: it is too large.
   */
  unfinished(s: S, bytes: Uint8Array, at: number, bodyAt: number, known: number, size: number): Unfinished;
  /** The first piece of a packet that streams, at its place among the packets; `rest` bytes of it are to come. */
  begin(s: S, bytes: Uint8Array, at: number, bodyAt: number, known: number, rest: number): void;
  /** A further piece of it. */
  piece(s: S, bytes: Uint8Array, start: number, end: number, last: boolean): void;
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
 * one that is cut off at the end is kept until the rest has come, or streams. One of more than `maxPacketBytes` is kept only
 * while its handler says so. Between packets nothing is held.
 */
export class Frames {
  private partial: GrowableBuffer | undefined;
  /** Of the partial packet; 0 while its fixed header is unfinished. */
  private size = 0;
  /** When so much of it is known, its handler is asked again. */
  private askAt = Number.POSITIVE_INFINITY;
  /** Bytes still to come of a packet of which the first part is given away; BROKEN when nothing more is understood. */
  private streaming = 0;
  /** Packets that were too many for one call, until `goOn`. */
  private left: GrowableBuffer | undefined;

  /** Is part of a packet given away, and the rest still to come? */
  get midStream(): boolean {
    return this.streaming > 0;
  }

  /** A part of a packet was passed on, or bytes that are no packet: the reader would take anything else for the rest of it. */
  get isUnfinished(): boolean {
    return this.streaming !== 0;
  }

  /** Between packets: nothing is held, and nothing is wrong. */
  get isIdle(): boolean {
    return this.partial === undefined && this.streaming === 0 && this.left === undefined;
  }

  /** Did the handler stop before all was handed on? */
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

  /** For another process. */
  describe(): HandedFrames {
    const { partial, askAt, streaming, left } = this;
    return { partial: partial?.copy, askAt, streaming, left: left?.copy };
  }

  static revive({ partial, askAt, streaming, left }: HandedFrames): Frames {
    const frames = new Frames();
    frames.partial = partial && bufferOf(partial);
    frames.size = partial === undefined ? 0 : sizeOf(partial);
    frames.askAt = askAt;
    frames.streaming = streaming;
    frames.left = left && bufferOf(left);
    return frames;
  }

  reset(): void {
    this.partial = undefined;
    this.size = 0;
    this.askAt = Number.POSITIVE_INFINITY;
    this.streaming = 0;
  }

  /** Hands on what has come, and keeps the rest where the handler stops. */
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
    this.left = new GrowableBuffer(end - at);
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
    if (this.streaming > 0) at = this.stream(s, bytes, at, end, handler);
    if (this.partial !== undefined) at = this.complete(s, bytes, at, end, handler, maxPacketBytes);
    while (at < end && this.streaming !== BROKEN && handler.goesOn(s)) {
      const bodyAt = varintEnd(bytes, at + 1, end);
      if (bodyAt === MALFORMED) return this.fail(s, 'malformed', handler, bytes, at, end);
      if (bodyAt === INCOMPLETE) return this.keep(bytes, at, end);
      const size = bodyAt - at + varintValue(bytes, at + 1, bodyAt);
      const behind = at + size;
      if (behind <= end) {
        handler.packet(s, bytes, at, bodyAt, behind);
        at = behind;
        continue;
      }
      const fate = handler.unfinished(s, bytes, at, bodyAt, end, size);
      if (fate === 'refuse') return this.fail(s, 'too-large', handler, bytes, at, end);
      if (fate === 'stream') return this.begin(s, bytes, at, bodyAt, end, size, handler);
      this.keep(bytes, at, end);
      return this.keepOn(size, end, maxPacketBytes);
    }
    return at;
  }

  /** Returns `end`. */
  private begin<S>(
    s: S,
    bytes: Uint8Array,
    at: number,
    bodyAt: number,
    end: number,
    size: number,
    handler: FrameHandler<S>,
  ): number {
    this.streaming = size - (end - at);
    handler.begin(s, bytes, at, bodyAt, end, this.streaming);
    return end;
  }

  private stream<S>(s: S, bytes: Uint8Array, at: number, end: number, handler: FrameHandler<S>): number {
    const behind = Math.min(end, at + this.streaming);
    this.streaming -= behind - at;
    handler.piece(s, bytes, at, behind, this.streaming === 0);
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
    const partial = this.partial as GrowableBuffer;
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
      if (size > partial.length && this.decide(s, partial, size, handler, maxPacketBytes)) {
        return this.behindPart(s, bytes, at, end, handler);
      }
      this.size = size;
    }
    const behind = Math.min(end, at + this.size - partial.length);
    partial.append(bytes, at, behind);
    if (partial.length === this.size) {
      this.reset();
      handler.packet(s, partial.bytes, 0, varintEnd(partial.bytes, 1, partial.length), partial.length);
    } else if (partial.length >= this.askAt && this.decide(s, partial, this.size, handler, maxPacketBytes)) {
      return this.behindPart(s, bytes, behind, end, handler);
    }
    return behind;
  }

  /** True where the partial packet is kept no longer: it streams, or is refused. */
  private decide<S>(
    s: S,
    partial: GrowableBuffer,
    size: number,
    handler: FrameHandler<S>,
    maxPacketBytes: number,
  ): boolean {
    const { bytes, length } = partial;
    const bodyAt = varintEnd(bytes, 1, length);
    const fate = handler.unfinished(s, bytes, 0, bodyAt, length, size);
    if (fate === 'keep') {
      this.keepOn(size, length, maxPacketBytes);
      return false;
    }
    this.reset();
    if (fate === 'stream') this.begin(s, bytes, 0, bodyAt, length, size, handler);
    else this.fail(s, 'too-large', handler, bytes, 0, length);
    return true;
  }

  /** What comes behind the part that has just been given away. */
  private behindPart<S>(s: S, bytes: Uint8Array, at: number, end: number, handler: FrameHandler<S>): number {
    if (at === end) return end;
    if (this.streaming !== BROKEN) return this.stream(s, bytes, at, end, handler);
    handler.rest(s, bytes, at, end);
    return end;
  }

  /**
   * The handler looks at a partial packet again when its size has doubled, so that all looks together cost little more than the
   * last one. Where it keeps more than it should, it looks whenever something comes. Returns `end`.
   */
  private keepOn(size: number, end: number, maxPacketBytes: number): number {
    this.size = size;
    const known = this.partial?.length ?? 0;
    const next = known < maxPacketBytes ? Math.min(2 * known, maxPacketBytes) : known + 1;
    this.askAt = size > maxPacketBytes ? next : Number.POSITIVE_INFINITY;
    return end;
  }

  /** Returns `end`. */
  private keep(bytes: Uint8Array, start: number, end: number): number {
    this.partial = new GrowableBuffer(FIRST_CAPACITY);
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

/** Of a packet of which the beginning is known; 0 while its fixed header is unfinished. */
function sizeOf(packet: Uint8Array): number {
  const bodyAt = varintEnd(packet, 1, packet.length);
  return bodyAt < 0 ? 0 : bodyAt + varintValue(packet, 1, bodyAt);
}

/** Serve all sessions between packets, when there is nothing to remember. */
let betweenPackets = new Frames();

export function idleFrames(): Frames {
  if (!betweenPackets.isIdle) betweenPackets = new Frames();
  return betweenPackets;
}
