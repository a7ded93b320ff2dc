/** CRC32c (Castagnoli; RFC 4960 appendix B), the checksum of PP2_TYPE_CRC32C. Reflected polynomial 0x1EDC6F41. */

const REFLECTED = 0x82f6_3b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ REFLECTED : crc >>> 1;
  return crc;
});

/** Checksum of [start, end), an unsigned 32-bit integer; the four bytes at `blankAt` count as zero. */
export function crc32c(bytes: Uint8Array, start: number, end: number, blankAt = -1): number {
  let crc = 0xffff_ffff;
  for (let i = start; i < end; i++) {
    const isBlank = blankAt >= 0 && i >= blankAt && i < blankAt + 4;
    const byte = isBlank ? 0 : (bytes[i] as number);
    crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] as number);
  }
  return ~crc >>> 0;
}
