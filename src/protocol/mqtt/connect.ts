import { uint16 } from '../../base/bytes.ts';
import {
  type ConnectProperties,
  lastingProperties,
  plainProperties,
  readConnectProperties,
  sharedProperties,
} from './connect-properties.ts';
import { anyText, fieldEnd } from './field.ts';
import { sectionEnd } from './properties.ts';
import {
  isBridge,
  nearestVersion,
  type ProtocolVersion,
  protocolLevelAt,
  protocolVersion,
} from './protocol.ts';
import { connackV5, reasonCode, refusalConnack } from './reason-codes.ts';
import { INCOMPLETE, MALFORMED, varintEnd, varintValue } from './varint.ts';

/** The CONNECT packet (MQTT 3.1 clause 3.1, MQTT 3.1.1 clause 3.1, MQTT 5.0 clause 3.1). */

export type { ProtocolVersion };

export interface Connect {
  readonly protocolVersion: ProtocolVersion;
  /** It asks to be treated as another broker (3.1 and 3.1.1): live messages reach it with RETAIN as they were published. */
  readonly isBridge: boolean;
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Seconds; 0 is off. */
  readonly keepAlive: number;
  readonly username: string | undefined;
  readonly hasWill: boolean;
  /** Of MQTT 5; of 3.1 and 3.1.1 what comes to the same. */
  readonly properties: Readonly<ConnectProperties>;
}

/** What is asked of a CONNECT when a node has accepted it: by rules, and by people who look at the connection. */
export type ConnectSummary = Pick<
  Connect,
  'protocolVersion' | 'clientId' | 'cleanStart' | 'keepAlive' | 'username'
>;

/** These fields and no others, which would take memory as long as the device is connected. */
export function summaryOf(connect: Connect): ConnectSummary {
  const { protocolVersion, clientId, cleanStart, keepAlive, username } = connect;
  return { protocolVersion, clientId, cleanStart, keepAlive, username };
}

/** Why a first packet is refused: a metric label, and what the standard answers. */
type ConnectFault = 'not-mqtt' | 'too-large' | 'malformed' | 'protocol-version';

export type ConnectResult =
  | { readonly kind: 'incomplete' }
  /** `end` is the offset just behind the packet; what follows was pipelined. */
  | { readonly kind: 'connect'; readonly connect: Connect; readonly end: number }
  /** `reply`, where the standard has one, is sent before the close. */
  | {
      readonly kind: 'refused';
      readonly fault: ConnectFault;
      readonly detail: string;
      readonly reply: Uint8Array | undefined;
    };

const CONNECT = 1;
/** DUP, QoS and RETAIN: reserved [MQTT-2.2.2-1], but in MQTT 3.1 only unused (3.1 clause 3.1). */
const HEADER_FLAGS = 0x0f;
const incomplete: ConnectResult = { kind: 'incomplete' };

const CLEAN_START = 0x02;
const WILL = 0x04;
const PASSWORD = 0x40;
const USERNAME = 0x80;

/**
 * Looks at the first packet in [start, end). It is asked again over the same bytes whenever more have arrived: while
 * incomplete it looks at the first dozen bytes only, and refuses as soon as they allow. A CONNECT of more than
 * `maxPacketBytes`, fixed header included, is refused. Whether it is as the standard has it is for the node's broker to
 * judge, which may be more patient than others: it must only be possible to take it apart.
 */
export function decodeConnect(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxPacketBytes: number,
): ConnectResult {
  if (start >= end) return incomplete;
  const header = bytes[start] as number;
  if (header >> 4 !== CONNECT) return refused('not-mqtt', firstByteDetail(header));
  const bodyAt = varintEnd(bytes, start + 1, end);
  if (bodyAt === INCOMPLETE) return incomplete;
  if (bodyAt === MALFORMED) return refused('not-mqtt', 'remaining length is over four bytes (2.1.4)');

  const packetEnd = bodyAt + varintValue(bytes, start + 1, bodyAt);
  const known = Math.min(end, packetEnd);
  const levelAt = protocolLevelAt(bytes, bodyAt, known);
  const version = levelAt < 0 ? undefined : protocolVersion(bytes, levelAt);
  if (packetEnd - start > maxPacketBytes) {
    const detail = `CONNECT of ${packetEnd - start} bytes, at most ${maxPacketBytes} are taken`;
    return refused('too-large', detail, version === 5 ? connackV5(reasonCode.packetTooLarge) : undefined);
  }
  const isPlain = (header & HEADER_FLAGS) === 0;
  if (!isPlain && (levelAt === MALFORMED || (levelAt > 0 && version !== 3))) {
    return refused('not-mqtt', firstByteDetail(header));
  }
  if (levelAt === MALFORMED) return refused('not-mqtt', 'protocol name is not MQTT [MQTT-3.1.2-1]');
  if (levelAt === INCOMPLETE) {
    return known === packetEnd ? refused('malformed', 'ends before the protocol level') : incomplete;
  }
  if (version === undefined) {
    const reply = refusalConnack(nearestVersion(bytes, levelAt), 'protocol-version');
    return refused('protocol-version', `protocol level ${bytes[levelAt]} [MQTT-3.1.2-2]`, reply);
  }
  if (end < packetEnd) return incomplete;

  const connect = readFields(bytes, levelAt + 1, packetEnd, version);
  if (typeof connect === 'string') {
    // MQTT 3.1 and 3.1.1 close without a CONNACK [MQTT-3.1.4-1]; MQTT 5 says why first.
    return refused('malformed', connect, version === 5 ? connackV5(reasonCode.malformedPacket) : undefined);
  }
  return { kind: 'connect', connect, end: packetEnd };
}

/** Everything behind the protocol level; or what is cut off at `end`. */
function readFields(
  bytes: Uint8Array,
  flagsAt: number,
  end: number,
  version: ProtocolVersion,
): Connect | string {
  if (flagsAt + 3 > end) return 'ends before the keep-alive (3.1.2)';
  const flags = bytes[flagsAt] as number;
  const cleanStart = (flags & CLEAN_START) !== 0;
  const connect = {
    protocolVersion: version,
    isBridge: isBridge(bytes, flagsAt - 1),
    clientId: '',
    cleanStart,
    keepAlive: uint16(bytes, flagsAt + 1),
    username: undefined as string | undefined,
    hasWill: (flags & WILL) !== 0,
    properties: version === 5 || cleanStart ? plainProperties : lastingProperties,
  };

  let at = flagsAt + 3;
  if (version === 5) {
    const properties = { ...plainProperties };
    at = readConnectProperties(bytes, at, end, properties);
    if (at === MALFORMED) return 'properties are cut off (3.1.2.11)';
    connect.properties = sharedProperties(properties);
  }

  const behindId = fieldEnd(bytes, at, end);
  if (behindId === MALFORMED) return 'client id is cut off (3.1.3.1)';
  connect.clientId = anyText(bytes, at + 2, behindId);
  at = connect.hasWill ? willEnd(bytes, behindId, end, version) : behindId;
  if (at === MALFORMED) return 'will is cut off (3.1.3.2)';

  if ((flags & USERNAME) !== 0 && !mayBeMissing(at, end, version)) {
    const behind = fieldEnd(bytes, at, end);
    if (behind === MALFORMED) return 'user name is cut off (3.1.3.5)';
    connect.username = anyText(bytes, at + 2, behind);
    at = behind;
  }
  const hasPassword = (flags & PASSWORD) !== 0 && !mayBeMissing(at, end, version);
  if (hasPassword && fieldEnd(bytes, at, end) === MALFORMED) return 'password is cut off (3.1.3.6)';
  return connect;
}

/** Offset just behind the Will at `at`: properties in MQTT 5, topic, payload. */
function willEnd(bytes: Uint8Array, at: number, end: number, version: ProtocolVersion): number {
  const topicAt = version === 5 ? sectionEnd(bytes, at, end) : at;
  const payloadAt = topicAt === MALFORMED ? MALFORMED : fieldEnd(bytes, topicAt, end);
  return payloadAt === MALFORMED ? MALFORMED : fieldEnd(bytes, payloadAt, end);
}

/** In MQTT 3.1 the remaining length takes precedence over the user name and password flags (3.1 clause 3.1). */
function mayBeMissing(at: number, end: number, version: ProtocolVersion): boolean {
  return version === 3 && at === end;
}

function refused(fault: ConnectFault, detail: string, reply?: Uint8Array): ConnectResult {
  return { kind: 'refused', fault, detail, reply };
}

/** What probably stands at the other end, for the operator who wonders. */
function firstByteDetail(byte: number): string {
  if (byte === 0x16) return 'a TLS handshake on a plain listener';
  if (byte >= 0x41 && byte <= 0x5a) return 'text, such as HTTP or PROXY, on an MQTT listener';
  return `first byte is 0x${byte.toString(16).padStart(2, '0')}, not CONNECT [MQTT-3.1.0-1]`;
}
