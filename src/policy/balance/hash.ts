/**
 * A fast string hash that every process and platform computes alike, so that all proxies send a device to the same
 * node. MurmurHash3 x86_32 (public domain, Austin Appleby) over the string's UTF-16 code units, low byte first:
 * no encoding step, no allocation, and good avalanche even for ids that differ in their last digit only.
 * Not for secrets: whoever chooses the client id can choose the node.
 */

/** Hash of a string, an unsigned 32-bit integer. */
export function hash32(text: string, seed = 0): number {
  const evenLength = text.length & ~1;
  let hash = seed | 0;
  for (let i = 0; i < evenLength; i += 2) {
    hash ^= scramble(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  if (evenLength < text.length) hash ^= scramble(text.charCodeAt(evenLength));
  return mix32(hash ^ (text.length * 2));
}

/** Spreads every input bit over all output bits (murmur3's finalizer); one to one on unsigned 32-bit integers. */
export function mix32(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function scramble(block: number): number {
  const product = Math.imul(block, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}
