/** Topic filters as bytes (MQTT 5.0 clause 4.7): UTF-8 never uses these byte values inside another character. */

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;
const DOLLAR = 0x24;
const SHARE = Uint8Array.of(0x24, 0x73, 0x68, 0x61, 0x72, 0x65, SLASH); // $share/

export function isShared(filter: Uint8Array): boolean {
  return SHARE.every((byte, i) => filter[i] === byte);
}

export function hasWildcard(filter: Uint8Array): boolean {
  return filter.includes(PLUS) || filter.includes(HASH);
}

/** Does the topic in [start, end) match the filter? A leading wildcard does not match `$` topics [MQTT-4.7.2-1]. */
export function matches(filter: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  let f = isShared(filter) ? filter.indexOf(SLASH, SHARE.length) + 1 : 0;
  const leading = filter[f];
  if (bytes[start] === DOLLAR && (leading === PLUS || leading === HASH)) return false;
  let t = start;
  while (f < filter.length) {
    const byte = filter[f];
    if (byte === HASH) return true;
    if (byte === PLUS) {
      while (t < end && bytes[t] !== SLASH) t++;
      f++;
    } else if (t < end && bytes[t] === byte) {
      t++;
      f++;
    } else {
      // `sport/#` also matches `sport` (4.7.1.2)
      return t === end && byte === SLASH && filter[f + 1] === HASH;
    }
  }
  return t === end;
}
