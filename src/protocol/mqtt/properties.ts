import { fieldEnd, textFieldEnd } from './field.ts';
import { isMinimalVarint, MALFORMED, varintEnd, varintValue } from './varint.ts';

/** Properties of MQTT 5.0 (clause 2.2.2): a length, then one-byte identifiers each with a value of its own type. */

export const property = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifierAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const;

type ValueType = 'byte' | 'uint16' | 'uint32' | 'varint' | 'binary' | 'text' | 'pair';

const identifiers: Record<ValueType, readonly number[]> = {
  byte: [
    property.payloadFormatIndicator,
    property.requestProblemInformation,
    property.requestResponseInformation,
    property.maximumQos,
    property.retainAvailable,
    property.wildcardSubscriptionAvailable,
    property.subscriptionIdentifierAvailable,
    property.sharedSubscriptionAvailable,
  ],
  uint16: [
    property.serverKeepAlive,
    property.receiveMaximum,
    property.topicAliasMaximum,
    property.topicAlias,
  ],
  uint32: [
    property.messageExpiryInterval,
    property.sessionExpiryInterval,
    property.willDelayInterval,
    property.maximumPacketSize,
  ],
  varint: [property.subscriptionIdentifier],
  binary: [property.correlationData, property.authenticationData],
  text: [
    property.contentType,
    property.responseTopic,
    property.assignedClientIdentifier,
    property.authenticationMethod,
    property.responseInformation,
    property.serverReference,
    property.reasonString,
  ],
  pair: [property.userProperty],
};

const typeByIdentifier = new Array<ValueType | undefined>(256).fill(undefined);
for (const [type, ids] of Object.entries(identifiers)) {
  for (const id of ids) typeByIdentifier[id] = type as ValueType;
}

/** Offset just behind the property section whose length is at `at`; MALFORMED when it does not fit before `end`. */
export function propertiesEnd(bytes: Uint8Array, at: number, end: number): number {
  const first = varintEnd(bytes, at, end);
  return first < 0 || !isMinimalVarint(bytes, at, first) ? MALFORMED : sectionEnd(bytes, at, end);
}

/** The same where it is for somebody else to judge whether the length is in the fewest bytes. */
export function sectionEnd(bytes: Uint8Array, at: number, end: number): number {
  const first = varintEnd(bytes, at, end);
  if (first < 0) return MALFORMED;
  const behind = first + varintValue(bytes, at, first);
  return behind > end ? MALFORMED : behind;
}

/** Offset just behind the property at `at`; MALFORMED for an unknown identifier or a value that is cut off or ill-formed. */
export function propertyEnd(bytes: Uint8Array, at: number, end: number): number {
  const behind = valueEnd(typeByIdentifier[bytes[at] as number], bytes, at + 1, end);
  return behind < 0 || behind > end ? MALFORMED : behind;
}

function valueEnd(type: ValueType | undefined, bytes: Uint8Array, at: number, end: number): number {
  switch (type) {
    case 'byte':
      return at + 1;
    case 'uint16':
      return at + 2;
    case 'uint32':
      return at + 4;
    case 'varint': {
      const behind = varintEnd(bytes, at, end);
      return behind >= 0 && isMinimalVarint(bytes, at, behind) ? behind : MALFORMED;
    }
    case 'binary':
      return fieldEnd(bytes, at, end);
    case 'text':
      return textFieldEnd(bytes, at, end);
    case 'pair': {
      const behindName = textFieldEnd(bytes, at, end);
      return behindName < 0 ? MALFORMED : textFieldEnd(bytes, behindName, end);
    }
    case undefined:
      return MALFORMED;
  }
}
