import type { HandedFrameReader } from './handed.ts';
import { closeCode, MAX_CONTROL_BYTES, MAX_FRAME_BYTES, opcode } from './protocol.ts';
import { unmask } from './unmask.ts';

/** What the next byte is. */
const FLAGS = 0;
const LENGTH = 1;
const LONG_LENGTH = 2;
const KEY = 3;
const PAYLOAD = 4;

const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;

/**
 * Reads the frames of one device (RFC 6455, 5), which may be cut anywhere. Where messages begin and end means nothing to
 * MQTT [MQTT-6.0.0-2], so payload is given out as it comes: unmasked in place, and moved together, so that one read
 * that holds many small frames is one piece, with whatever pings and pongs between them.
 */
export class FrameReader {
  /** Payload that the last `read` found, in the bytes that it was given. */
  from = 0;
  to = 0;
  /** Payload of the close frame at which the last `read` stopped. */
  close: Uint8Array | undefined;
  /** Payload of the last ping that the last `read` found: of several only the last wants an answer (5.5.3). */
  ping: Uint8Array | undefined;
  /** The close code that says what the device has done wrong; 0: nothing. Then nothing more can be read. */
  fault = 0;

  private expects = FLAGS;
  private flags = 0;
  /** Bytes of the long length, or of the key, that are still to come. */
  private missing = 0;
  private length = 0;
  private key = 0;
  /** Of the payload, so much has come. */
  private done = 0;
  /** Of a control frame, which is kept until it is whole. */
  private payload: Uint8Array = NOTHING;
  /** Another frame of this message follows. */
  private isMidMessage = false;

  /** For another process: where it is in a frame. What the last `read` has found is done with by then. */
  describe(): HandedFrameReader {
    const { expects, flags, missing, length, key, done, payload, isMidMessage } = this;
    return { expects, flags, missing, length, key, done, payload: new Uint8Array(payload), isMidMessage };
  }

  static revive(handed: HandedFrameReader): FrameReader {
    const reader = new FrameReader();
    Object.assign(reader, handed);
    return reader;
  }

  /** Reads on, up to `end` or behind a close frame; returns up to where. */
  read(bytes: Uint8Array, start: number, end: number): number {
    this.from = this.to = start;
    this.close = undefined;
    this.ping = undefined;
    let at = start;
    while (at < end && this.close === undefined && this.fault === 0) {
      if (this.expects === PAYLOAD) at = this.take(bytes, at, end);
      else this.header(bytes[at++] as number);
    }
    return at;
  }

  private header(byte: number): void {
    switch (this.expects) {
      case FLAGS:
        this.flags = byte;
        this.fault = this.faultOf(byte);
        this.expects = LENGTH;
        return;
      case LENGTH:
        this.begin(byte);
        return;
      case LONG_LENGTH:
        this.length = this.length * 256 + byte;
        if (--this.missing === 0) this.expectKey();
        return;
      default:
        this.key = (this.key << 8) | byte;
        if (--this.missing > 0) return;
        this.expects = PAYLOAD;
        if (this.length === 0) this.end();
    }
  }

  private faultOf(flags: number): number {
    const kind = flags & 0x0f;
    if ((flags & RESERVED) !== 0) return closeCode.protocolError; // no extension was agreed on
    if (kind >= opcode.close) return kind <= opcode.pong && (flags & FIN) !== 0 ? 0 : closeCode.protocolError;
    if (kind > opcode.binary) return closeCode.protocolError;
    if ((kind === opcode.continuation) !== this.isMidMessage) return closeCode.protocolError;
    return kind === opcode.text ? closeCode.unsupportedData : 0; // [MQTT-6.0.0-1]
  }

  /** What a device sends is masked (5.1). */
  private begin(byte: number): void {
    const length = byte & 0x7f;
    const isControl = (this.flags & 0x08) !== 0;
    if ((byte & MASKED) === 0 || (isControl && length > MAX_CONTROL_BYTES)) {
      this.fault = closeCode.protocolError;
      return;
    }
    this.done = 0;
    this.payload = NOTHING;
    if (length < 126) {
      this.length = length;
      this.expectKey();
    } else {
      this.length = 0;
      this.missing = length === 126 ? 2 : 8;
      this.expects = LONG_LENGTH;
    }
  }

  private expectKey(): void {
    if (this.length > MAX_FRAME_BYTES) this.fault = closeCode.tooBig;
    this.missing = 4;
    this.expects = KEY;
  }

  private take(bytes: Uint8Array, start: number, end: number): number {
    const length = Math.min(end - start, this.length - this.done);
    const stop = start + length;
    unmask(bytes, start, stop, this.key, this.done);
    if ((this.flags & 0x08) !== 0) this.keep(bytes, start, stop);
    else this.append(bytes, start, stop);
    this.done += length;
    if (this.done === this.length) this.end();
    return stop;
  }

  private keep(bytes: Uint8Array, start: number, stop: number): void {
    if (this.done === 0) this.payload = new Uint8Array(this.length);
    for (let at = start, to = this.done; at < stop; at++) this.payload[to++] = bytes[at] as number;
  }

  private append(bytes: Uint8Array, start: number, stop: number): void {
    if (this.from === this.to) this.from = start;
    else if (this.to !== start) {
      bytes.copyWithin(this.to, start, stop);
      this.to += stop - start;
      return;
    }
    this.to = stop;
  }

  private end(): void {
    this.expects = FLAGS;
    const kind = this.flags & 0x0f;
    if (kind === opcode.close) this.close = this.payload;
    else if (kind === opcode.ping) this.ping = this.payload;
    else if (kind < opcode.close) this.isMidMessage = (this.flags & FIN) === 0;
  }
}

const NOTHING = new Uint8Array(0);
