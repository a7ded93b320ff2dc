import { uint16 } from '../base/bytes.ts';
import { fieldEnd } from '../protocol/mqtt/field.ts';
import { propertiesEnd, property, propertyEnd } from '../protocol/mqtt/properties.ts';
import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import { MALFORMED, varintEnd, varintValue } from '../protocol/mqtt/varint.ts';
import { copyOf, packetType, putField, putUint16, putVarint, varintSize } from './encode.ts';
import type { Subscription } from './subscriptions.ts';

/** SUBSCRIBE, UNSUBSCRIBE and their acknowledgements (MQTT 5.0 clauses 3.8 to 3.11). */

const QOS = 0x03;
const RETAIN_HANDLING = 0x30;
const DO_NOT_SEND_RETAINED = 0x20;

/** Has a SUBSCRIBE or UNSUBSCRIBE with its body in [bodyAt, end) a packet id, and filters that can be separated? */
export function isRequest(
  bytes: Uint8Array,
  bodyAt: number,
  end: number,
  version: ProtocolVersion,
  subscribes: boolean,
): boolean {
  if (leadingId(bytes, bodyAt, end) === 0) return false;
  let at = bodyAt + 2;
  if (version === 5) {
    const behind = propertiesEnd(bytes, at, end);
    for (let next = varintEnd(bytes, at, end); next !== behind; next = propertyEnd(bytes, next, behind))
      if (next < 0 || next > behind) return false;
    at = behind;
  }
  if (at === end) return false;
  while (at < end) {
    const filterEnd = fieldEnd(bytes, at, end);
    if (filterEnd === MALFORMED || (subscribes && filterEnd === end)) return false;
    at = subscribes ? filterEnd + 1 : filterEnd;
  }
  return true;
}

/**
 * The filters of a whole SUBSCRIBE or UNSUBSCRIBE, one after another, so that a caller may stop early; up to the
 * point where the packet cannot be understood. Filters are views of the packet.
 */
export function* filtersOf(packet: Uint8Array, version: ProtocolVersion): IterableIterator<Subscription> {
  const subscribes = (packet[0] as number) >> 4 === packetType.subscribe;
  let at = varintEnd(packet, 1, packet.length) + 2;
  const identifier = version === 5 ? identifierAt(packet, at) : 0;
  if (version === 5) at = propertiesEnd(packet, at, packet.length);
  while (at >= 0 && identifier >= 0 && at < packet.length) {
    const filterEnd = fieldEnd(packet, at, packet.length);
    if (filterEnd === MALFORMED || (subscribes && filterEnd === packet.length)) return;
    const options = subscribes ? (packet[filterEnd] as number) : 0;
    yield { filter: packet.subarray(at + 2, filterEnd), options, identifier };
    at = subscribes ? filterEnd + 1 : filterEnd;
  }
}

/** The Subscription Identifier among the properties at `at`; 0 when there is none, negative when they are malformed. */
function identifierAt(packet: Uint8Array, at: number): number {
  const behind = propertiesEnd(packet, at, packet.length);
  if (behind < 0) return MALFORMED;
  let identifier = 0;
  for (let next = varintEnd(packet, at, behind); next < behind; next = propertyEnd(packet, next, behind)) {
    if (next < 0) return MALFORMED;
    if (packet[next] !== property.subscriptionIdentifier) continue;
    const valueEnd = varintEnd(packet, next + 1, behind);
    if (valueEnd < 0) return MALFORMED;
    identifier = varintValue(packet, next + 1, valueEnd);
  }
  return identifier;
}

/** The codes of a whole SUBACK or UNSUBACK with its body in [bodyAt, end); none in an UNSUBACK before MQTT 5. */
export function readCodes(
  bytes: Uint8Array,
  bodyAt: number,
  end: number,
  version: ProtocolVersion,
): Uint8Array | undefined {
  const at = version === 5 ? propertiesEnd(bytes, bodyAt + 2, end) : bodyAt + 2;
  return at < 0 || at > end ? undefined : copyOf(bytes, at, end);
}

/** The same subscription with the QoS that the node granted instead of the one that was asked for. */
export function granted(asked: Subscription, code: number): Subscription {
  return { ...asked, options: (asked.options & ~QOS) | (code & QOS) };
}

export function qosAsked(subscription: Subscription): number {
  return subscription.options & QOS;
}

/**
 * One SUBSCRIBE for subscriptions that share an identifier. Options go verbatim but for Retain Handling, which is 2:
 * the device has had the retained messages (rule 8) [MQTT-3.3.1-11].
 */
export function subscribePacket(
  version: ProtocolVersion,
  id: number,
  subscriptions: readonly Subscription[],
): Uint8Array {
  const identifier = subscriptions[0]?.identifier ?? 0;
  const identifierSize = identifier === 0 ? 0 : 1 + varintSize(identifier);
  let size = 2 + (version === 5 ? 1 + identifierSize : 0);
  for (const { filter } of subscriptions) size += 2 + filter.length + 1;
  const packet = new Uint8Array(1 + varintSize(size) + size);
  packet[0] = (packetType.subscribe << 4) | 2;
  let at = putUint16(packet, putVarint(packet, 1, size), id);
  if (version === 5) {
    packet[at++] = identifierSize;
    if (identifier > 0) {
      packet[at++] = property.subscriptionIdentifier;
      at = putVarint(packet, at, identifier);
    }
  }
  for (const { filter, options } of subscriptions) {
    at = putField(packet, at, filter);
    packet[at++] = version === 5 ? (options & ~RETAIN_HANDLING) | DO_NOT_SEND_RETAINED : options & QOS;
  }
  return packet;
}

/** Parts of at most so many filters and bytes, each with one identifier, because a SUBSCRIBE has at most one (3.8.2.1.2). */
export function* batches(
  subscriptions: Iterable<Subscription>,
  maxFilters: number,
  maxBytes: number,
): IterableIterator<Subscription[]> {
  let batch: Subscription[] = [];
  let bytes = 0;
  for (const next of subscriptions) {
    const size = next.filter.length + 3;
    const full = batch.length === maxFilters || bytes + size > maxBytes;
    if (batch.length > 0 && (full || batch[0]?.identifier !== next.identifier)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(next);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** Packet id of any packet whose body begins with it. */
export function leadingId(bytes: Uint8Array, bodyAt: number, end: number): number {
  return bodyAt + 2 <= end ? uint16(bytes, bodyAt) : 0;
}
