/** Below this a view costs more than it saves. */
const SHORT_BYTES = 48;

const keyBytes = new Uint8Array(4);
const keyWord = new Uint32Array(keyBytes.buffer);
/** View of the buffer that was unmasked last: with an engine that has one scratch buffer, always the same. */
let words = new Uint32Array(0);

/**
 * Takes the masking key off a piece of a frame's payload, in place (RFC 6455, 5.3).
 * @param key its four bytes, the first one highest
 * @param offset of the piece in the payload
 */
export function unmask(bytes: Uint8Array, start: number, end: number, key: number, offset: number): void {
  let at = start;
  let turn = offset & 3;
  if (end - start >= SHORT_BYTES) {
    for (; ((bytes.byteOffset + at) & 3) !== 0; at++, turn++) unmaskByte(bytes, at, key, turn);
    at = unmaskWords(bytes, at, end, key, turn);
  }
  for (; at < end; at++, turn++) unmaskByte(bytes, at, key, turn);
}

function unmaskByte(bytes: Uint8Array, at: number, key: number, turn: number): void {
  bytes[at] = (bytes[at] as number) ^ (key >>> (24 - 8 * (turn & 3)));
}

/** From an aligned position on; returns where the last whole word ends. */
function unmaskWords(bytes: Uint8Array, start: number, end: number, key: number, turn: number): number {
  const { buffer, byteOffset } = bytes;
  if (words.buffer !== buffer) words = new Uint32Array(buffer as ArrayBuffer, 0, buffer.byteLength >>> 2);
  // In the order in which they lie in memory, whatever the machine's.
  for (let i = 0; i < 4; i++) keyBytes[i] = key >>> (24 - 8 * ((turn + i) & 3));
  const word = keyWord[0] as number;
  const last = (byteOffset + end) >>> 2;
  for (let i = (byteOffset + start) >>> 2; i < last; i++) words[i] = (words[i] as number) ^ word;
  return (last << 2) - byteOffset;
}
