import { uint16 } from '../base/bytes.ts';
import { fieldEnd } from '../protocol/mqtt/field.ts';
import { propertiesEnd, property, propertyEnd } from '../protocol/mqtt/properties.ts';
import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import { MALFORMED, varintEnd } from '../protocol/mqtt/varint.ts';
import { copyOf, put, putField, putVarint, varintSize } from './encode.ts';

/** Where things are inside a PUBLISH (MQTT 5.0 clause 3.3), and PUBLISH packets made from others. */

export const DUP = 0x08;
export const RETAIN = 0x01;

export function qosOf(header: number): number {
  return (header >> 1) & 3;
}

/** Offset just behind the topic, which is where the packet id is when the QoS is not 0; MALFORMED when it does not fit. */
export function topicEnd(bytes: Uint8Array, at: number, bodyAt: number, end: number): number {
  const behind = fieldEnd(bytes, bodyAt, end);
  return qosOf(bytes[at] as number) === 0 || behind + 2 <= end ? behind : MALFORMED;
}

/** Offset of the topic alias property (its identifier) among the properties at `at`; 0 when there is none. */
export function topicAliasAt(bytes: Uint8Array, at: number, end: number): number {
  const behind = propertiesEnd(bytes, at, end);
  if (behind < 0) return MALFORMED;
  let next = varintEnd(bytes, at, end);
  while (next < behind) {
    if (bytes[next] === property.topicAlias) return next + 3 <= behind ? next : MALFORMED;
    next = propertyEnd(bytes, next, behind);
    if (next < 0) return MALFORMED;
  }
  return 0;
}

/** Is enough of an unfinished PUBLISH known, up to `known`, to read its packet id, topic alias and hash? */
export function isRecognizable(
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  known: number,
  size: number,
  version: ProtocolVersion,
): boolean {
  const idAt = topicEnd(bytes, at, bodyAt, known);
  if (idAt === MALFORMED) return false;
  const propertiesAt = qosOf(bytes[at] as number) === 0 ? idAt : idAt + 2;
  const payloadAt = version === 5 ? propertiesEnd(bytes, propertiesAt, known) : propertiesAt;
  return payloadAt >= 0 && Math.min(payloadAt + HASHED, at + size) <= known;
}

/** Bytes at each end of a payload that its hash looks at, so that a large one costs no more than a small one. */
const HASHED = 64;

/** FNV-1a over length, beginning and end. Tells a redelivery from a new message that was given the same packet id. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  const beginning = Math.min(end, start + HASHED);
  let hash = 0x811c9dc5 ^ (end - start);
  for (let i = start; i < beginning; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  for (let i = Math.max(beginning, end - HASHED); i < end; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  }
  return hash >>> 0;
}

/** The same of a payload of which the end may not have come: over the size of its packet, and the beginning. */
export function hashOfLarge(bytes: Uint8Array, start: number, end: number, size: number): number {
  return (hashOf(bytes, start, Math.min(start + HASHED, end)) ^ size) >>> 0;
}

/** A copy of the packet in [at, end), whose packet id is at `idAt`, under another packet id. */
export function withPacketId(
  bytes: Uint8Array,
  at: number,
  end: number,
  idAt: number,
  id: number,
): Uint8Array {
  const copy = copyOf(bytes, at, end);
  copy[idAt - at] = id >> 8;
  copy[idAt - at + 1] = id & 0xff;
  return copy;
}

/**
 * The MQTT 5 PUBLISH in [at, end) made to stand by itself: with this topic instead of its own, and without the topic
 * alias at `aliasAt` unless `keepAlias`. `rest` bytes of it come later.
 */
export function withTopic(
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
  topic: Uint8Array,
  aliasAt: number,
  keepAlias: boolean,
  rest = 0,
): Uint8Array {
  const header = bytes[at] as number;
  const idAt = bodyAt + 2 + uint16(bytes, bodyAt);
  const propertiesAt = qosOf(header) === 0 ? idAt : idAt + 2;
  const firstAt = varintEnd(bytes, propertiesAt, end);
  const behind = propertiesEnd(bytes, propertiesAt, end);
  const cut = keepAlias ? 0 : 3;
  const properties = behind - firstAt - cut;
  const size =
    2 + topic.length + (propertiesAt - idAt) + varintSize(properties) + properties + (end - behind) + rest;
  const packet = new Uint8Array(1 + varintSize(size) + size - rest);
  packet[0] = header;
  let to = putVarint(packet, 1, size);
  to = putField(packet, to, topic);
  to = put(packet, to, bytes, idAt, propertiesAt);
  to = putVarint(packet, to, properties);
  to = put(packet, to, bytes, firstAt, keepAlias ? behind : aliasAt);
  if (!keepAlias) to = put(packet, to, bytes, aliasAt + 3, behind);
  put(packet, to, bytes, behind, end);
  return packet;
}
