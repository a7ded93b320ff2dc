import { Buffer, isUtf8 } from 'node:buffer';
import { uint16 } from '../../base/bytes.ts';
import { MALFORMED } from './varint.ts';

/** Fields of packets: strings and binary data behind a two-byte length (MQTT 5.0 clause 1.5). */

/** Offset just behind the length-prefixed field at `at`; MALFORMED when it is cut off at `end`. */
export function fieldEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return MALFORMED;
  const behind = at + 2 + uint16(bytes, at);
  return behind > end ? MALFORMED : behind;
}

/** Offset just behind the string field at `at`; MALFORMED when it is cut off or not well-formed. */
export function textFieldEnd(bytes: Uint8Array, at: number, end: number): number {
  const behind = fieldEnd(bytes, at, end);
  return behind !== MALFORMED && isText(bytes, at + 2, behind) ? behind : MALFORMED;
}

/** Well-formed UTF-8 without surrogates [MQTT-1.5.4-1] and without U+0000 [MQTT-1.5.4-2]? */
function isText(bytes: Uint8Array, start: number, end: number): boolean {
  const seen = allBits(bytes, start, end);
  return seen < 0x80 || (seen !== HAS_NUL && isUtf8(bytes.subarray(start, end)));
}

/** The string in [start, end), a leading U+FEFF kept [MQTT-1.5.4-3]; undefined when it is not well-formed. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string | undefined {
  const seen = allBits(bytes, start, end);
  if (seen < 0x80) return asBuffer(bytes).toString('latin1', start, end); // ASCII: by far the cheapest decoder
  if (seen === HAS_NUL || !isUtf8(bytes.subarray(start, end))) return undefined;
  return asBuffer(bytes).toString('utf8', start, end);
}

/** The same where it is for somebody else to judge the string: byte for byte when it is not UTF-8, as some devices have it. */
export function anyText(bytes: Uint8Array, start: number, end: number): string {
  const isAscii = allBits(bytes, start, end) < 0x80;
  const isUtf = !isAscii && isUtf8(bytes.subarray(start, end));
  return asBuffer(bytes).toString(isUtf ? 'utf8' : 'latin1', start, end);
}

const HAS_NUL = 0x100;

/** All bytes or-ed together: below 0x80 it is ASCII. HAS_NUL as soon as one is zero. */
function allBits(bytes: Uint8Array, start: number, end: number): number {
  let bits = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte === 0) return HAS_NUL;
    bits |= byte;
  }
  return bits;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
