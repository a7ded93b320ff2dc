import type { ProtocolVersion } from './protocol.ts';
import { reasonCode, returnCode } from './reason-codes.ts';
import { INCOMPLETE, MALFORMED, varintEnd, varintValue } from './varint.ts';

/** The node's first packet, looked at just far enough to know whether it took the device (clause 3.2). */

export type ConnackPeek =
  | { readonly kind: 'incomplete' }
  /** `code` 0 is success. `end` is the offset just behind the packet, which may lie beyond the bytes seen so far. */
  | {
      readonly kind: 'connack';
      readonly code: number;
      readonly sessionPresent: boolean;
      readonly end: number;
    }
  /** AUTH: the node goes on with an enhanced authentication (MQTT 5 clause 4.12). */
  | { readonly kind: 'auth' }
  /** No packet that a node may send first. */
  | { readonly kind: 'other' };

const CONNACK = 0x20;
const AUTH = 0xf0;
const incomplete: ConnackPeek = { kind: 'incomplete' };
const auth: ConnackPeek = { kind: 'auth' };
const other: ConnackPeek = { kind: 'other' };

/** Answers as soon as the flags and the code are there: 4 bytes, or up to 7 with long MQTT 5 properties. */
export function peekConnack(bytes: Uint8Array, start: number, end: number): ConnackPeek {
  if (start >= end) return incomplete;
  if (bytes[start] === AUTH) return auth;
  if (bytes[start] !== CONNACK) return other;
  const bodyAt = varintEnd(bytes, start + 1, end);
  if (bodyAt === INCOMPLETE) return incomplete;
  if (bodyAt === MALFORMED) return other;
  const length = varintValue(bytes, start + 1, bodyAt);
  if (length < 2) return other;
  if (bodyAt + 2 > end) return incomplete;
  const flags = bytes[bodyAt] as number;
  if (flags > 1) return other; // the upper seven bits are reserved [MQTT-3.2.2-1]
  const code = bytes[bodyAt + 1] as number;
  return { kind: 'connack', code, sessionPresent: flags === 1, end: bodyAt + length };
}

/**
 * Does this refusal speak of the node rather than of the device, so that another node may well say yes?
 * Quota exceeded (0x97) does not: it is the device's own or the whole cluster's, and asking around would not help.
 */
export function isRetryable(version: ProtocolVersion, code: number): boolean {
  if (version !== 5) return code === returnCode.serverUnavailable;
  switch (code) {
    case reasonCode.serverUnavailable:
    case reasonCode.serverBusy:
    case reasonCode.serverShuttingDown: // DISCONNECT only, by the standard; the meaning is plain all the same
    case reasonCode.useAnotherServer:
    case reasonCode.serverMoved:
    case reasonCode.connectionRateExceeded:
      return true;
    default:
      return false;
  }
}

/** Does the node say that it has too much to do? */
export function isCrowded(version: ProtocolVersion, code: number): boolean {
  return isRetryable(version, code) || (version === 5 && code === reasonCode.quotaExceeded);
}

/** Does this refusal speak of who the device is? No other node of the cluster would say otherwise. */
export function isOfIdentity(version: ProtocolVersion, code: number): boolean {
  if (version !== 5) return code === returnCode.badUserNameOrPassword || code === returnCode.notAuthorized;
  return (
    code === reasonCode.badUserNameOrPassword ||
    code === reasonCode.notAuthorized ||
    code === reasonCode.banned
  );
}

/** Of a client id that has a session: another connect of it is under way somewhere in the cluster (EMQX 5). */
export function isLocked(version: ProtocolVersion, code: number): boolean {
  return code === (version === 5 ? reasonCode.clientIdentifierNotValid : returnCode.identifierRejected);
}
