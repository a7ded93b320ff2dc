import type { SessionCarrier } from '../connection/session-carrier.ts';
import type { Peer, Target } from '../connection/wire.ts';
import type { Connect } from '../mqtt/connect.ts';
import type { ClientRecord, SessionRecord } from './messages.ts';
import { shownId } from './shown-id.ts';

/** A connection that a node serves. */
interface Served {
  readonly connect: Connect;
  readonly target: Target;
  readonly peer: Peer;
  readonly placedAtMs: number;
  readonly session: SessionCarrier | undefined;
}

/** What is told of one device; with `inDetail`, of its session and its TLS too. */
export function clientRecord(
  { connect, target, peer, placedAtMs, session }: Served,
  listener: number,
  nowMs: number,
  inDetail: boolean,
): ClientRecord {
  return {
    clientId: shownId(connect.clientId),
    node: target.nodeId,
    listener,
    remoteAddress: addressOf(peer),
    protocolVersion: connect.protocolVersion,
    keepAlive: connect.keepAlive,
    mode: session === undefined ? 'relay' : 'session',
    reattachments: session?.session.facts.reattachments ?? 0,
    session: inDetail ? session && sessionRecord(session, nowMs) : undefined,
    tls: inDetail ? peer.tls : undefined,
    ageMs: nowMs - placedAtMs,
  };
}

function sessionRecord({ session, history }: SessionCarrier, nowMs: number): SessionRecord {
  const { subscriptions, fromDevice, toDevice, rememberedBytes } = session.facts;
  return {
    subscriptions,
    inflightFromDevice: fromDevice,
    inflightToDevice: toDevice,
    rememberedBytes,
    immovable: session.immovable,
    history: history.map(({ atMs, ...rest }) => ({ ...rest, agoMs: nowMs - atMs })),
  };
}

/** `address:port`, IPv6 in brackets. */
export function addressOf({ remoteAddress, remotePort }: Peer): string {
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
