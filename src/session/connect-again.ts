import { uint16, uint32 } from '../base/bytes.ts';
import { fieldEnd } from '../protocol/mqtt/field.ts';
import { property, propertyEnd, sectionEnd } from '../protocol/mqtt/properties.ts';
import { protocolLevelAt } from '../protocol/mqtt/protocol.ts';
import { varintEnd } from '../protocol/mqtt/varint.ts';
import { copyOf, put, putField, putVarint, varintSize } from './encode.ts';

/**
 * CONNECT packets made from the device's own, which `decodeConnect` has been able to take apart. All that is not
 * named here stays as it is: credentials, Will, keep-alive, Session Expiry Interval and every other property.
 */

const CLEAN_START = 0x02;
const WILL_BITS = 0x3c;

/**
 * The device's CONNECT for another node. Clean Start 0 asks for a session that may exist, and never discards it
 * [MQTT-3.1.2-4]. Clean Start 1 discards whatever session the node has under this client id, because it belongs to
 * another connection (rules 1, 2).
 */
export function connectAgain(
  raw: Uint8Array,
  clientId: Uint8Array | undefined,
  cleanStart: boolean,
): Uint8Array {
  const again = connectAs(raw, clientId);
  const at = layout(again).flagsAt;
  const flags = (again[at] as number) & ~CLEAN_START;
  again[at] = cleanStart ? flags | CLEAN_START : flags;
  return again;
}

/** The device's CONNECT, under this client id where one is given (rule 15). */
export function connectAs(raw: Uint8Array, clientId: Uint8Array | undefined): Uint8Array {
  if (clientId === undefined) return copyOf(raw, 0, raw.length);
  const { bodyAt, clientIdAt, clientIdEnd } = layout(raw);
  const size = raw.length - bodyAt - (clientIdEnd - clientIdAt) + 2 + clientId.length;
  const packet = new Uint8Array(1 + varintSize(size) + size);
  packet[0] = raw[0] as number;
  let to = put(packet, putVarint(packet, 1, size), raw, bodyAt, clientIdAt);
  to = putField(packet, to, clientId);
  put(packet, to, raw, clientIdEnd, raw.length);
  return packet;
}

/**
 * Clean, and without the Will. Ends a 3.1.1 session at a node (rule 2) [MQTT-3.1.2-6], or asks for a newcomer; to be followed by
 * DISCONNECT.
 */
export function connectToPurge(raw: Uint8Array, clientId: Uint8Array | undefined): Uint8Array {
  const whole = connectAs(raw, clientId);
  const { isV5, bodyAt, flagsAt, clientIdEnd } = layout(whole);
  const flags = whole[flagsAt] as number;
  const { length } = whole;
  const topicAt = isV5 ? sectionEnd(whole, clientIdEnd, length) : clientIdEnd;
  const willEnd =
    (flags & 0x04) === 0 ? clientIdEnd : fieldEnd(whole, fieldEnd(whole, topicAt, length), length);
  const size = clientIdEnd - bodyAt + whole.length - willEnd;
  const packet = new Uint8Array(1 + varintSize(size) + size);
  packet[0] = whole[0] as number;
  const newBodyAt = putVarint(packet, 1, size);
  const to = put(packet, newBodyAt, whole, bodyAt, clientIdEnd);
  put(packet, to, whole, willEnd, whole.length);
  packet[newBodyAt + flagsAt - bodyAt] = (flags & ~WILL_BITS) | CLEAN_START;
  return packet;
}

/** Will Delay Interval in seconds (3.1.3.2.2); 0 where there is none, and before MQTT 5. */
export function willDelay(raw: Uint8Array): number {
  const { isV5, flagsAt, clientIdEnd } = layout(raw);
  if (!isV5 || ((raw[flagsAt] as number) & 0x04) === 0) return 0;
  const behind = sectionEnd(raw, clientIdEnd, raw.length);
  let next = varintEnd(raw, clientIdEnd, behind);
  while (next >= 0 && next < behind) {
    if (raw[next] === property.willDelayInterval) return uint32(raw, next + 1);
    next = propertyEnd(raw, next, behind);
  }
  return 0;
}

/** Offsets in a CONNECT; 3.1 is laid out as 3.1.1 is. */
function layout(raw: Uint8Array) {
  const bodyAt = varintEnd(raw, 1, raw.length);
  const levelAt = protocolLevelAt(raw, bodyAt, raw.length);
  const flagsAt = levelAt + 1;
  const behindKeepAlive = flagsAt + 3;
  const isV5 = raw[levelAt] === 5;
  const clientIdAt = isV5 ? sectionEnd(raw, behindKeepAlive, raw.length) : behindKeepAlive;
  return { isV5, bodyAt, flagsAt, clientIdAt, clientIdEnd: clientIdAt + 2 + uint16(raw, clientIdAt) };
}
