import { property } from './properties.ts';
import type { ProtocolVersion } from './protocol.ts';

/** Reason codes of MQTT 5.0 (clause 2.4), return codes of MQTT 3.1.1 (clause 3.2.2.3), and the packets that carry them. */

/** As far as CONNACK and DISCONNECT use them. */
export const reasonCode = {
  success: 0x00,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;

export type ReasonCode = (typeof reasonCode)[keyof typeof reasonCode];

/** CONNACK of MQTT 3.1 and 3.1.1. */
export const returnCode = {
  accepted: 0,
  unacceptableProtocolVersion: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  badUserNameOrPassword: 4,
  notAuthorized: 5,
} as const;

type ReturnCode = (typeof returnCode)[keyof typeof returnCode];

/** Each refusal as both generations of the protocol say it; where 3.1.1 has no word of its own, the nearest. */
const refusals = {
  'protocol-version': [returnCode.unacceptableProtocolVersion, reasonCode.unsupportedProtocolVersion],
  'bad-credentials': [returnCode.badUserNameOrPassword, reasonCode.badUserNameOrPassword],
  'not-authorized': [returnCode.notAuthorized, reasonCode.notAuthorized],
  banned: [returnCode.notAuthorized, reasonCode.banned],
  'server-unavailable': [returnCode.serverUnavailable, reasonCode.serverUnavailable],
  'server-busy': [returnCode.serverUnavailable, reasonCode.serverBusy],
  'quota-exceeded': [returnCode.serverUnavailable, reasonCode.quotaExceeded],
  'rate-exceeded': [returnCode.serverUnavailable, reasonCode.connectionRateExceeded],
  'use-another-server': [returnCode.serverUnavailable, reasonCode.useAnotherServer],
  'server-moved': [returnCode.serverUnavailable, reasonCode.serverMoved],
} as const satisfies Record<string, readonly [ReturnCode, ReasonCode]>;

export type ConnackRefusal = keyof typeof refusals;

/** The CONNACK that refuses a device of this version; the caller closes the connection behind it [MQTT-3.2.2-5]. */
export function refusalConnack(version: ProtocolVersion, refusal: ConnackRefusal): Uint8Array {
  const [v3, v5] = refusals[refusal];
  return version === 5 ? connackV5(v5) : Uint8Array.of(0x20, 2, 0, v3);
}

/** CONNACK of MQTT 5: Session Present 0 [MQTT-3.2.2-6], no properties. For reasons that 3.1.1 answers by closing. */
export function connackV5(code: ReasonCode): Uint8Array {
  return Uint8Array.of(0x20, 3, 0, code, 0);
}

/** The longest that `disconnectPacket` takes, so that each length fits into one byte. */
export const SERVER_REFERENCE_MAX = 120;

/**
 * DISCONNECT of MQTT 5, with where to go instead if that is given: at most `SERVER_REFERENCE_MAX` ASCII characters. To 3.1.1 devices
 * a server sends none; it just closes.
 */
export function disconnectPacket(code: ReasonCode, serverReference?: string): Uint8Array {
  if (serverReference === undefined) return Uint8Array.of(0xe0, 1, code);
  const { length } = serverReference;
  const text = new TextEncoder().encode(serverReference);
  return Uint8Array.of(0xe0, length + 5, code, length + 3, property.serverReference, 0, length, ...text);
}

/** `0x8b`, as the standard writes it. */
export function hexOf(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}
