/** The variable byte integer: 7 bits a byte, least first, one to four bytes (MQTT 5.0 clause 1.5.5). */

/** More bytes are needed. */
export const INCOMPLETE = -1;
/** No further byte can mend it. */
export const MALFORMED = -2;

const MAX_BYTES = 4;

/** Offset just behind the integer at `at`; INCOMPLETE, or MALFORMED when a fifth byte would follow. */
export function varintEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = 0; i < MAX_BYTES; i++) {
    if (at + i >= end) return INCOMPLETE;
    if ((bytes[at + i] as number) < 0x80) return at + i + 1;
  }
  return MALFORMED;
}

/** Value of the integer in [at, behind), where `behind` came from `varintEnd`: 0 to 268,435,455. */
export function varintValue(bytes: Uint8Array, at: number, behind: number): number {
  let value = 0;
  for (let i = behind - 1; i >= at; i--) value = (value << 7) | ((bytes[i] as number) & 0x7f);
  return value;
}

/** Is it in the fewest bytes, as MQTT 5 demands [MQTT-1.5.5-1]? MQTT 3.1.1 does not. */
export function isMinimalVarint(bytes: Uint8Array, at: number, behind: number): boolean {
  return behind - at === 1 || bytes[behind - 1] !== 0;
}
