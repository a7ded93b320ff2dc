/** Writing packets: every function puts something at an offset and returns the offset just behind it. */

/** A copy that is no Buffer, whose `slice` would only be another view of the same memory. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}

export function put(to: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
  to.set(bytes.subarray(start, end), at);
  return at + end - start;
}

/** A field behind its two-byte length. */
export function putField(to: Uint8Array, at: number, field: Uint8Array): number {
  to[at] = field.length >> 8;
  to[at + 1] = field.length & 0xff;
  to.set(field, at + 2);
  return at + 2 + field.length;
}

export function putVarint(to: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80) {
    to[next++] = (rest & 0x7f) | 0x80;
    rest >>= 7;
  }
  to[next++] = rest;
  return next;
}

export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  return value < 0x20_0000 ? 3 : 4;
}

export function putUint16(to: Uint8Array, at: number, value: number): number {
  to[at] = value >> 8;
  to[at + 1] = value & 0xff;
  return at + 2;
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP in their short form: success, no properties (MQTT 5.0 clause 3.4.2.1). */
export function ackPacket(type: number, id: number): Uint8Array {
  return Uint8Array.of((type << 4) | (type === packetType.pubrel ? 2 : 0), 2, id >> 8, id & 0xff);
}

export const pingreqPacket = Uint8Array.of(0xc0, 0);
export const pingrespPacket = Uint8Array.of(0xd0, 0);

/** MQTT 5.0 clause 2.1.2. */
export const packetType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;
