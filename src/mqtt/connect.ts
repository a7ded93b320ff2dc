import { type ConnectProperties, checkWillProperties, readConnectProperties } from './connect-properties.ts';
import { type Fault, malformed } from './fault.ts';
import { decodeText, fieldEnd, textFieldEnd, uint16 } from './field.ts';
import {
  isBridge,
  nearestVersion,
  type ProtocolVersion,
  protocolLevelAt,
  protocolVersion,
} from './protocol.ts';
import { connackV5, reasonCode, refusalConnack } from './reason-codes.ts';
import { INCOMPLETE, isMinimalVarint, MALFORMED, varintEnd, varintValue } from './varint.ts';

/** The CONNECT packet (MQTT 3.1 clause 3.1, MQTT 3.1.1 clause 3.1, MQTT 5.0 clause 3.1). */

export type { ProtocolVersion };

export interface Connect extends Readonly<ConnectProperties> {
  readonly protocolVersion: ProtocolVersion;
  /** It asks to be treated as another broker (3.1 and 3.1.1): live messages reach it with RETAIN as they were published. */
  readonly isBridge: boolean;
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Seconds; 0 is off. */
  readonly keepAlive: number;
  readonly username: string | undefined;
  readonly hasPassword: boolean;
  readonly hasWill: boolean;
}

/** Why a first packet is refused: a metric label, and what the standard answers. */
export type ConnectFault = 'not-mqtt' | 'too-large' | 'malformed' | 'protocol-version';

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

const RESERVED = 0x01;
const CLEAN_START = 0x02;
const WILL = 0x04;
const WILL_QOS = 0x18;
const WILL_RETAIN = 0x20;
const PASSWORD = 0x40;
const USERNAME = 0x80;

const NEVER_EXPIRES = 0xffff_ffff;
const RECEIVE_MAXIMUM_DEFAULT = 65_535;

/**
 * Looks at the first packet in [start, end). It is asked again over the same bytes whenever more have arrived: while
 * incomplete it looks at the first dozen bytes only, and refuses as soon as they allow. A CONNECT of more than
 * `maxPacketBytes`, fixed header included, is refused. What only a broker can judge (credentials, the Will's topic,
 * a client id that is long or empty) is left to the node.
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
  if (version === 5 && !isMinimalVarint(bytes, start + 1, bodyAt)) {
    return refusedFor(malformed('remaining length is not in the fewest bytes [MQTT-1.5.5-1]'), version);
  }
  if (end < packetEnd) return incomplete;

  const connect = readFields(bytes, levelAt + 1, packetEnd, version);
  if ('code' in connect) return refusedFor(connect, version);
  return { kind: 'connect', connect, end: packetEnd };
}

/** Everything behind the protocol level, which must end exactly at `end`. */
function readFields(
  bytes: Uint8Array,
  flagsAt: number,
  end: number,
  version: ProtocolVersion,
): Connect | Fault {
  if (flagsAt + 3 > end) return malformed('ends before the keep-alive (3.1.2)');
  const flags = bytes[flagsAt] as number;
  const wrong = flagsDetail(flags, version);
  if (wrong !== undefined) return malformed(wrong);
  const cleanStart = (flags & CLEAN_START) !== 0;
  const connect = {
    protocolVersion: version,
    isBridge: isBridge(bytes, flagsAt - 1),
    clientId: '',
    cleanStart,
    keepAlive: uint16(bytes, flagsAt + 1),
    username: undefined as string | undefined,
    hasPassword: false,
    hasWill: (flags & WILL) !== 0,
    sessionExpiryInterval: version === 5 || cleanStart ? 0 : NEVER_EXPIRES,
    receiveMaximum: RECEIVE_MAXIMUM_DEFAULT,
    maximumPacketSize: undefined as number | undefined,
    topicAliasMaximum: 0,
    authenticationMethod: undefined as string | undefined,
  };

  let at = flagsAt + 3;
  if (version === 5) {
    const behind = readConnectProperties(bytes, at, end, connect);
    if (typeof behind !== 'number') return behind;
    at = behind;
  }

  const clientId = textField(bytes, at, end);
  if (clientId === undefined) return malformed('client id is cut off or not UTF-8 [MQTT-3.1.3-4]');
  connect.clientId = clientId;
  at = fieldEnd(bytes, at, end);

  if (connect.hasWill) {
    const behind = willEnd(bytes, at, end, version);
    if (typeof behind !== 'number') return behind;
    at = behind;
  }
  if ((flags & USERNAME) !== 0 && !mayBeMissing(at, end, version)) {
    connect.username = textField(bytes, at, end);
    if (connect.username === undefined) return malformed('user name is cut off or not UTF-8 [MQTT-3.1.3-11]');
    at = fieldEnd(bytes, at, end);
  }
  if ((flags & PASSWORD) !== 0 && !mayBeMissing(at, end, version)) {
    connect.hasPassword = true;
    at = fieldEnd(bytes, at, end);
    if (at === MALFORMED) return malformed('password is cut off (3.1.3.5)');
  }
  return at === end ? connect : malformed('bytes are left behind the last field (3.1.3)');
}

function willEnd(bytes: Uint8Array, at: number, end: number, version: ProtocolVersion): number | Fault {
  const topicAt = version === 5 ? checkWillProperties(bytes, at, end) : at;
  if (typeof topicAt !== 'number') return topicAt;
  const payloadAt = textFieldEnd(bytes, topicAt, end);
  if (payloadAt === MALFORMED) return malformed('will topic is cut off or not UTF-8 [MQTT-3.1.3-10]');
  const behind = fieldEnd(bytes, payloadAt, end);
  return behind === MALFORMED ? malformed('will payload is cut off (3.1.3.3)') : behind;
}

/** What is wrong with the connect flags. MQTT 3.1 leaves the unused ones to the sender ("don't care"). */
function flagsDetail(flags: number, version: ProtocolVersion): string | undefined {
  if ((flags & (USERNAME | PASSWORD)) === PASSWORD && version !== 5) {
    return 'password without a user name [MQTT-3.1.2-22]';
  }
  if ((flags & WILL) !== 0 && (flags & WILL_QOS) === WILL_QOS) return 'will QoS is 3 [MQTT-3.1.2-14]';
  if (version === 3) return undefined;
  if ((flags & RESERVED) !== 0) return 'reserved connect flag is set [MQTT-3.1.2-3]';
  if ((flags & WILL) === 0 && (flags & (WILL_QOS | WILL_RETAIN)) !== 0) {
    return 'will QoS or will retain without a will [MQTT-3.1.2-13] [MQTT-3.1.2-15]';
  }
  return undefined;
}

/** In MQTT 3.1 the remaining length takes precedence over the user name and password flags (3.1 clause 3.1). */
function mayBeMissing(at: number, end: number, version: ProtocolVersion): boolean {
  return version === 3 && at === end;
}

function textField(bytes: Uint8Array, at: number, end: number): string | undefined {
  const behind = fieldEnd(bytes, at, end);
  return behind === MALFORMED ? undefined : decodeText(bytes, at + 2, behind);
}

/** MQTT 3.1 and 3.1.1 close without a CONNACK [MQTT-3.1.4-1]; MQTT 5 says why first. */
function refusedFor(fault: Fault, version: ProtocolVersion): ConnectResult {
  return refused('malformed', fault.detail, version === 5 ? connackV5(fault.code) : undefined);
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
