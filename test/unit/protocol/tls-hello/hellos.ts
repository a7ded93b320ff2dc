/** ClientHellos from their parts, right or wrong. */

export const u16 = (value: number) => [value >> 8, value & 255];
export const vector8 = (bytes: readonly number[]) => [bytes.length, ...bytes];
export const vector16 = (bytes: readonly number[]) => [...u16(bytes.length), ...bytes];
export const extension = (type: number, body: readonly number[]) => [...u16(type), ...vector16(body)];
export const nameOf = (text: string) => vector16([0, ...vector16([...Buffer.from(text, 'latin1')])]);
export const named = (text: string) => extension(0, nameOf(text));

export function body(extensions: readonly number[] | undefined): number[] {
  const start = [3, 3, ...Array(32).fill(7), ...vector8([1, 2]), ...vector16([0x13, 1]), ...vector8([0])];
  return extensions === undefined ? start : [...start, ...vector16(extensions)];
}

export function message(content: readonly number[], type = 1, length = content.length): number[] {
  return [type, length >> 16, ...u16(length & 0xffff), ...content];
}

/** One record, or one for each piece where cuts are given. */
export function records(content: readonly number[], cuts: readonly number[] = []): Uint8Array {
  const ends = [...new Set(cuts.filter((cut) => cut > 0 && cut < content.length)), content.length];
  let at = 0;
  const all = ends
    .sort((a, b) => a - b)
    .flatMap((end) => {
      const piece = content.slice(at, end);
      at = end;
      return [22, 3, 1, ...vector16(piece)];
    });
  return Uint8Array.from(all);
}
