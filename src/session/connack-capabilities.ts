import { uint16, uint32 } from '../base/bytes.ts';
import { decodeText } from '../protocol/mqtt/field.ts';
import { propertiesEnd, property, propertyEnd } from '../protocol/mqtt/properties.ts';
import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import { varintEnd } from '../protocol/mqtt/varint.ts';

/** What a node's CONNACK promises (MQTT 5.0 clause 3.2.2.3); where it is silent, the standard's defaults. */
export interface ConnackCapabilities {
  code: number;
  sessionPresent: boolean;
  receiveMaximum: number;
  maximumQos: number;
  retainAvailable: boolean;
  /** Bytes; Infinity is no limit. */
  maximumPacketSize: number;
  topicAliasMaximum: number;
  wildcardAvailable: boolean;
  identifiersAvailable: boolean;
  sharedAvailable: boolean;
  /** Seconds; undefined leaves the device's own. */
  serverKeepAlive: number | undefined;
  sessionExpiryInterval: number | undefined;
  assignedClientId: string | undefined;
  serverReference: string | undefined;
}

/** What every 3.1.1 node promises, and an MQTT 5 node that says nothing. */
export const plainCapabilities: Readonly<ConnackCapabilities> = {
  code: 0,
  sessionPresent: false,
  receiveMaximum: 0xffff,
  maximumQos: 2,
  retainAvailable: true,
  maximumPacketSize: Number.POSITIVE_INFINITY,
  topicAliasMaximum: 0,
  wildcardAvailable: true,
  identifiersAvailable: true,
  sharedAvailable: true,
  serverKeepAlive: undefined,
  sessionExpiryInterval: undefined,
  assignedClientId: undefined,
  serverReference: undefined,
};

/**
 * Reads a whole CONNACK with its body in [bodyAt, end); undefined when it cannot be understood, as when one of the
 * upper seven of its flags is set, which are reserved [MQTT-3.2.2-1].
 */
export function readConnack(
  bytes: Uint8Array,
  bodyAt: number,
  end: number,
  version: ProtocolVersion,
): ConnackCapabilities | undefined {
  if (end - bodyAt < 2 || (bytes[bodyAt] as number) > 1) return undefined;
  const terms: ConnackCapabilities = {
    ...plainCapabilities,
    code: bytes[bodyAt + 1] as number,
    sessionPresent: bytes[bodyAt] === 1,
  };
  if (version === 5 && bodyAt + 2 < end && !readProperties(bytes, bodyAt + 2, end, terms)) return undefined;
  return terms;
}

/** The Assigned Client Identifier of a whole CONNACK in [start, end) (MQTT 5.0 clause 3.2.2.3.7). */
export function readAssignedClientId(
  bytes: Uint8Array,
  start: number,
  end: number,
  version: ProtocolVersion,
): string | undefined {
  return readConnack(bytes, varintEnd(bytes, start + 1, end), end, version)?.assignedClientId;
}

let known: ConnackCapabilities = plainCapabilities;

/** The same capabilities as one shared value, because nodes say the same to nearly all devices. */
export function interned(terms: ConnackCapabilities): ConnackCapabilities {
  if (equal(terms, plainCapabilities)) return plainCapabilities;
  if (!equal(terms, known)) known = terms;
  return known;
}

function equal(left: ConnackCapabilities, right: ConnackCapabilities): boolean {
  for (const name in left)
    if (left[name as keyof ConnackCapabilities] !== right[name as keyof ConnackCapabilities]) return false;
  return true;
}

/** The Server Reference of a whole DISCONNECT (clause 3.14.2.2.5). */
export function readServerReference(bytes: Uint8Array, bodyAt: number, end: number): string | undefined {
  const terms: { serverReference: string | undefined } = { serverReference: undefined };
  if (bodyAt + 1 < end) readProperties(bytes, bodyAt + 1, end, terms as ConnackCapabilities);
  return terms.serverReference;
}

function readProperties(bytes: Uint8Array, at: number, end: number, into: ConnackCapabilities): boolean {
  const behind = propertiesEnd(bytes, at, end);
  if (behind < 0) return false;
  let next = varintEnd(bytes, at, behind);
  while (next < behind) {
    const id = bytes[next] as number;
    const valueAt = next + 1;
    next = propertyEnd(bytes, next, behind);
    if (next < 0) return false;
    take(id, bytes, valueAt, next, into);
  }
  return true;
}

function take(id: number, bytes: Uint8Array, at: number, behind: number, into: ConnackCapabilities): void {
  switch (id) {
    case property.receiveMaximum:
      into.receiveMaximum = uint16(bytes, at);
      return;
    case property.maximumQos:
      into.maximumQos = bytes[at] as number;
      return;
    case property.retainAvailable:
      into.retainAvailable = bytes[at] === 1;
      return;
    case property.maximumPacketSize:
      into.maximumPacketSize = uint32(bytes, at);
      return;
    case property.topicAliasMaximum:
      into.topicAliasMaximum = uint16(bytes, at);
      return;
    case property.wildcardSubscriptionAvailable:
      into.wildcardAvailable = bytes[at] === 1;
      return;
    case property.subscriptionIdentifierAvailable:
      into.identifiersAvailable = bytes[at] === 1;
      return;
    case property.sharedSubscriptionAvailable:
      into.sharedAvailable = bytes[at] === 1;
      return;
    case property.serverKeepAlive:
      into.serverKeepAlive = uint16(bytes, at);
      return;
    case property.sessionExpiryInterval:
      into.sessionExpiryInterval = uint32(bytes, at);
      return;
    case property.assignedClientIdentifier:
      into.assignedClientId = decodeText(bytes, at + 2, behind);
      return;
    case property.serverReference:
      into.serverReference = decodeText(bytes, at + 2, behind);
      return;
  }
}
