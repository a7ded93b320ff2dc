import { type ReasonCode, reasonCode } from '../protocol/mqtt/reason-codes.ts';
import type { EndWhy } from '../session/index.ts';
import type { EndReason } from './connection-host.ts';
import type { EndCause } from './wire.ts';

/**
 * When a broker accepts a client id anew, it ends the older connection, or never. The two events may become known
 * to us with at most so many ms between them.
 */
export const TAKEOVER_MS = 5_000;

/** What an MQTT 5 device is told in DISCONNECT when its session ends for this reason. */
const codes: Partial<Record<EndReason, ReasonCode>> = {
  'no-node': reasonCode.serverBusy,
  'node-closed': reasonCode.unspecifiedError,
  // CONNACK says it more exactly (0x86, 0x8A), with codes that DISCONNECT has not [MQTT-3.14.2-1].
  'connect-rejected': reasonCode.notAuthorized,
  'deadly-packet': reasonCode.implementationSpecificError,
  'taken-over': reasonCode.sessionTakenOver,
  immovable: reasonCode.serverShuttingDown,
  shutdown: reasonCode.serverShuttingDown,
  'proxy-drain': reasonCode.serverShuttingDown,
};

/** Why a connection ends whose device has ended it so. */
export const deviceEndOf: Readonly<Record<EndCause, EndReason>> = {
  fin: 'device-closed',
  reset: 'device-reset',
  timeout: 'device-timeout',
  tls: 'tls-failed',
  websocket: 'protocol-error',
  error: 'device-timeout',
};

/** Only with 0x9C (or 0x9D) a device may be told where to go [MQTT 5.0 clause 3.14.2.2.5]. */
export function codeOf(reason: EndReason, said?: string | Uint8Array): ReasonCode {
  if (typeof said === 'string') return reasonCode.useAnotherServer;
  return codes[reason] ?? reasonCode.administrativeAction;
}

/** The device has been told already: by its session, which ended itself. */
export const reasonOf: Readonly<Record<Exclude<EndWhy, 'asked'>, EndReason>> = {
  'packet-too-large': 'protocol-error',
  'granted-less': 'granted-less',
  'promised-less': 'granted-less',
  'session-lost': 'session-lost',
  'too-much-held': 'session-lost',
};

/** Why a connection ended whose node ended it. */
export function nodeEndOf(cause: EndCause): EndReason {
  if (cause === 'fin') return 'node-closed';
  return cause === 'reset' ? 'node-reset' : 'node-timeout';
}

/**
 * How the device's side is closed after its own end. What tells it the reason may still be on the way, and a reset
 * would overtake it.
 */
export function closingOf(cause: EndCause): 'flush' | 'reset' {
  return cause === 'fin' || cause === 'tls' || cause === 'websocket' ? 'flush' : 'reset';
}

const returning: ReadonlySet<EndReason> = new Set<EndReason>([
  'shutdown',
  'proxy-drain',
  'proxy-rebalance',
  'immovable',
  'listener-removed',
  'pool-removed',
]);
const dismissed: ReadonlySet<EndReason> = new Set<EndReason>([
  'taken-over',
  'deadly-packet',
  'connect-rejected',
]);

/** Is the device asked to connect again? */
export function comesBack(reason: EndReason): boolean {
  return returning.has(reason);
}

/**
 * Is the purge of stale sessions left out for this reason? A device that comes back brings its clean session with
 * it. In the other cases the session at the node belongs to another connection by then, or no node may be asked
 * again.
 */
export function purgesNothing(reason: EndReason): boolean {
  return returning.has(reason) || dismissed.has(reason);
}
