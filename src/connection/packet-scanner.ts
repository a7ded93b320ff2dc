import { INCOMPLETE, MALFORMED, varintEnd, varintValue } from '../protocol/mqtt/varint.ts';

/** Of a packet so much is kept to be described: topic, properties and the beginning of the payload. */
const HEAD_BYTES = 1024;
/** A fixed header has a type and a length of at most four bytes (MQTT 5.0 clause 2.1). */
const LONGEST_FIXED_HEADER = 5;

/** The beginning of one whole packet: [0, known) of `head`, its body from `bodyAt` on, `size` bytes in all. */
type OnPacket = (head: Uint8Array, bodyAt: number, known: number, size: number) => void;

/**
 * Finds the packets in one direction of a connection by their lengths, whatever the session does with them. It takes no
 * part: bytes are looked at and left alone, and of each packet the beginning is copied.
 */
export class PacketScanner {
  private readonly head = new Uint8Array(HEAD_BYTES);
  private known = 0;
  private bodyAt = 0;
  /** Of the packet that is under way; 0 until its fixed header is known. */
  private size = 0;
  private seen = 0;
  private isBroken = false;

  feed(bytes: Uint8Array, start: number, end: number, onPacket: OnPacket): void {
    let at = start;
    while (at < end && !this.isBroken) {
      if (this.size === 0) this.header(bytes[at++] as number);
      else at = this.body(bytes, at, end);
      if (this.size > 0 && this.seen === this.size) this.finish(onPacket);
    }
  }

  private header(byte: number): void {
    this.head[this.known++] = byte;
    this.seen++;
    const bodyAt = varintEnd(this.head, 1, this.known);
    if (bodyAt === INCOMPLETE && this.known < LONGEST_FIXED_HEADER) return;
    if (bodyAt === INCOMPLETE || bodyAt === MALFORMED) {
      this.isBroken = true; // nothing behind it can be understood
      return;
    }
    this.bodyAt = bodyAt;
    this.size = bodyAt + varintValue(this.head, 1, bodyAt);
  }

  private body(bytes: Uint8Array, at: number, end: number): number {
    const behind = Math.min(end, at + this.size - this.seen);
    const kept = Math.min(behind, at + HEAD_BYTES - this.known);
    this.head.set(bytes.subarray(at, kept), this.known);
    this.known += kept - at;
    this.seen += behind - at;
    return behind;
  }

  private finish(onPacket: OnPacket): void {
    const { head, bodyAt, known, size } = this;
    this.known = 0;
    this.size = 0;
    this.seen = 0;
    onPacket(head, bodyAt, known, size);
  }
}
