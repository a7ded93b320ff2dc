import type { SessionForwarder } from '../connection/session-forwarder.ts';
import type { Peer, Target } from '../connection/wire.ts';
import type { ClientRecord, SessionRecord } from '../data-plane-api/messages.ts';
import type { ConnectSummary } from '../protocol/mqtt/connect.ts';
import { shownId } from './shown-id.ts';

/** A connection that a node serves, or did until it was lost. */
interface Served {
  readonly connect: ConnectSummary | undefined;
  readonly clientId: string;
  readonly number: number;
  readonly target: Target | undefined;
  readonly isSuperseded: boolean;
  readonly peer: Peer;
  readonly placedAtMs: number;
  readonly session: SessionForwarder | undefined;
}

/** What is shown of one device; with `inDetail`, its session and its TLS too. */
export function clientRecord(
  served: Served,
  listener: number,
  nowMs: number,
  inDetail: boolean,
): ClientRecord {
  const { connect, peer, placedAtMs, session } = served;
  return {
    connection: served.number,
    clientId: shownId(served.clientId),
    node: nodeOf(served),
    listener,
    remoteAddress: addressOf(peer),
    protocolVersion: connect?.protocolVersion ?? 4,
    keepAlive: connect?.keepAlive ?? 0,
    mode: session === undefined ? 'relay' : 'session',
    reattachments: session?.session.facts.reattachments ?? 0,
    session: inDetail ? session && sessionRecord(session, served.isSuperseded, nowMs) : undefined,
    tls: inDetail ? peer.tls : undefined,
    ageMs: nowMs - placedAtMs,
  };
}

/** The node that serves a device; while another is sought, the one that is asked, or that it comes from. */
export function nodeOf({ target, session }: Pick<Served, 'target' | 'session'>): string {
  return (target ?? session?.lastTarget)?.nodeId ?? '';
}

/** By what events tell of a connection. */
export function nameOf(connection: Pick<Served, 'clientId' | 'number' | 'target' | 'session' | 'peer'>) {
  const { clientId, number, peer } = connection;
  return { clientId, connection: number, node: nodeOf(connection), remoteAddress: addressOf(peer) };
}

function sessionRecord(
  { session, history, isServed }: SessionForwarder,
  isSuperseded: boolean,
  nowMs: number,
): SessionRecord {
  const { subscriptions, fromDevice, toDevice, rememberedBytes } = session.facts;
  return {
    subscriptions,
    inflightFromDevice: fromDevice,
    inflightToDevice: toDevice,
    rememberedBytes,
    served: isServed,
    immovable: isSuperseded ? 'superseded' : session.immovable,
    history: history.map(({ atMs, ...rest }) => ({ ...rest, agoMs: nowMs - atMs })),
  };
}

/** `address:port`, IPv6 in brackets. */
export function addressOf({ remoteAddress, remotePort }: Peer): string {
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
