import type { Wire } from '../wire.ts';
import { opcode } from './protocol.ts';

/** Up to this a payload is copied behind its header, to be sent with it; above, the header goes alone. */
const JOINED_BYTES = 16_384;
/** Up to this a view costs more than it saves. */
const SHORT_BYTES = 256;
const MAX_HEADER_BYTES = 10;

/** One for all connections: a wire takes its copy before it returns. */
const frame = Buffer.allocUnsafe(MAX_HEADER_BYTES + JOINED_BYTES);

type Sender = Pick<Wire, 'toDevice'>;

/** Sends bytes as one binary frame, which a server does not mask (RFC 6455, 5.1). */
export function sendBinary(wire: Sender, bytes: Uint8Array, start: number, end: number): void {
  const length = end - start;
  const header = writeHeader(opcode.binary, length);
  if (length > JOINED_BYTES) {
    wire.toDevice(frame, 0, header);
    wire.toDevice(bytes, start, end);
    return;
  }
  if (length > SHORT_BYTES) frame.set(bytes.subarray(start, end), header);
  else for (let at = start, to = header; at < end; ) frame[to++] = bytes[at++] as number;
  wire.toDevice(frame, 0, header + length);
}

/** @param payload of a control frame, at most 125 bytes */
export function sendControl(wire: Sender, kind: number, payload: Uint8Array): void {
  const header = writeHeader(kind, payload.length);
  frame.set(payload, header);
  wire.toDevice(frame, 0, header + payload.length);
}

/** Writes the header of a whole message to the beginning of `frame`; returns its length. */
function writeHeader(kind: number, length: number): number {
  frame[0] = 0x80 | kind;
  if (length < 126) {
    frame[1] = length;
    return 2;
  }
  if (length <= 0xffff) {
    frame[1] = 126;
    return frame.writeUInt16BE(length, 2);
  }
  frame[1] = 127;
  frame.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
  return frame.writeUInt32BE(length >>> 0, 6);
}
