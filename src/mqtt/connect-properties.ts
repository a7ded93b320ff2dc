import { type Fault, malformed, protocolError } from './fault.ts';
import { decodeText, uint16, uint32 } from './field.ts';
import { propertiesEnd, property, propertyEnd } from './properties.ts';
import { MALFORMED, varintEnd } from './varint.ts';

/** The properties of CONNECT and of the Will inside it (MQTT 5.0 clauses 3.1.2.11 and 3.1.3.2). */

export interface ConnectProperties {
  /** Seconds; 0xFFFFFFFF is never. 3.1 and 3.1.1 sessions: 0 when clean, else never (clause 3.1.2.11.2). */
  sessionExpiryInterval: number;
  /** QoS 1 and 2 messages that the device takes unacknowledged, 1 to 65,535. */
  receiveMaximum: number;
  /** Bytes of the largest packet that the device takes; undefined is no limit. */
  maximumPacketSize: number | undefined;
  /** Topic aliases that the device takes; 0 is none. */
  topicAliasMaximum: number;
  /** Set when the device wants an enhanced authentication. */
  authenticationMethod: string | undefined;
}

/** One bit for each property that may stand here, to know which were seen. */
const bitOf = new Uint16Array(256);
const AUTHENTICATION_METHOD = 1 << 0;
const AUTHENTICATION_DATA = 1 << 1;
const USER_PROPERTY = 1 << 2;
bitOf[property.authenticationMethod] = AUTHENTICATION_METHOD;
bitOf[property.authenticationData] = AUTHENTICATION_DATA;
bitOf[property.userProperty] = USER_PROPERTY;

const inConnect =
  AUTHENTICATION_METHOD |
  AUTHENTICATION_DATA |
  USER_PROPERTY |
  allot(3, [
    property.sessionExpiryInterval,
    property.receiveMaximum,
    property.maximumPacketSize,
    property.topicAliasMaximum,
    property.requestResponseInformation,
    property.requestProblemInformation,
  ]);

const inWill =
  USER_PROPERTY |
  allot(9, [
    property.willDelayInterval,
    property.payloadFormatIndicator,
    property.messageExpiryInterval,
    property.contentType,
    property.responseTopic,
    property.correlationData,
  ]);

/** Reads the section at `at` into `into`: the offset just behind it, or what is wrong with it. */
export function readConnectProperties(
  bytes: Uint8Array,
  at: number,
  end: number,
  into: ConnectProperties,
): number | Fault {
  return readSection(bytes, at, end, inConnect, into);
}

/** Checks the Will's section at `at`: the offset just behind it, or what is wrong with it. */
export function checkWillProperties(bytes: Uint8Array, at: number, end: number): number | Fault {
  return readSection(bytes, at, end, inWill, undefined);
}

function readSection(
  bytes: Uint8Array,
  at: number,
  end: number,
  allowed: number,
  into: ConnectProperties | undefined,
): number | Fault {
  const behind = propertiesEnd(bytes, at, end);
  if (behind === MALFORMED) return malformed('property length is not right [MQTT-1.5.5-1]');
  let seen = 0;
  let next = varintEnd(bytes, at, behind);
  while (next < behind) {
    const id = bytes[next] as number;
    const bit = bitOf[id] as number;
    if ((bit & allowed) === 0) return malformed(`property ${hex(id)} has no place here (2.2.2.2)`);
    if ((bit & seen & ~USER_PROPERTY) !== 0)
      return protocolError(`property ${hex(id)} comes twice (2.2.2.2)`);
    const valueAt = next + 1;
    next = propertyEnd(bytes, next, behind);
    if (next === MALFORMED)
      return malformed(`value of property ${hex(id)} is cut off or ill-formed (2.2.2.2)`);
    const wrong = take(id, bytes, valueAt, next, into);
    if (wrong !== undefined) return protocolError(wrong);
    seen |= bit;
  }
  if ((seen & AUTHENTICATION_DATA) !== 0 && (seen & AUTHENTICATION_METHOD) === 0) {
    return protocolError('authentication data without a method (3.1.2.11.10)');
  }
  return behind;
}

/** Keeps the value in [at, behind) where it is wanted; says what is wrong with it. */
function take(
  id: number,
  bytes: Uint8Array,
  at: number,
  behind: number,
  into: ConnectProperties | undefined,
): string | undefined {
  switch (id) {
    case property.payloadFormatIndicator:
    case property.requestProblemInformation:
    case property.requestResponseInformation:
      return (bytes[at] as number) > 1 ? `property ${hex(id)} is neither 0 nor 1` : undefined;
  }
  if (into === undefined) return undefined;
  switch (id) {
    case property.sessionExpiryInterval:
      into.sessionExpiryInterval = uint32(bytes, at);
      return undefined;
    case property.receiveMaximum:
      into.receiveMaximum = uint16(bytes, at);
      return into.receiveMaximum === 0 ? 'receive maximum is 0 (3.1.2.11.3)' : undefined;
    case property.maximumPacketSize:
      into.maximumPacketSize = uint32(bytes, at);
      return into.maximumPacketSize === 0 ? 'maximum packet size is 0 (3.1.2.11.4)' : undefined;
    case property.topicAliasMaximum:
      into.topicAliasMaximum = uint16(bytes, at);
      return undefined;
    case property.authenticationMethod:
      into.authenticationMethod = decodeText(bytes, at + 2, behind);
      return undefined;
  }
  return undefined;
}

/** Gives each identifier its bit, from bit `first` on; returns them or-ed together. */
function allot(first: number, ids: readonly number[]): number {
  ids.forEach((id, i) => {
    bitOf[id] = 1 << (first + i);
  });
  return ((1 << ids.length) - 1) << first;
}

function hex(id: number): string {
  return `0x${id.toString(16).padStart(2, '0')}`;
}
