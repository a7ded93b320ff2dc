/** What this proxy, and its cluster, are told when the broker has accepted a device, and when the device moves or ends. */

import type { Connection } from '../connection/connection.ts';
import type { ConnectionView } from '../connection/connection-host.ts';
import { OpaqueConnection } from '../connection/opaque.ts';
import type { Accepted, WorkerEvent } from '../data-plane-api/messages.ts';
import { hash32 } from '../policy/balance/hash.ts';
import { type ClientIds, clientNumber, identityOf } from './client-ids.ts';
import { addressOf } from './client-record.ts';
import type { LostLinks } from './lost-links.ts';

/** In a cluster of proxies: how long it is remembered where a session is, after its proxy has vanished. */
const OWNED_TTL_MS = 600_000;

interface Context {
  readonly owners: ClientIds<Connection>;
  readonly lostLinks: Pick<LostLinks, 'hasLost'>;
  readonly isShared: boolean;
  readonly tell: (event: WorkerEvent) => void;
}

/** A client id means something else in every pool. */
export function deviceOf({ clientId, route }: ConnectionView): { pool: string; clientId: string } {
  return { pool: route?.name ?? '', clientId };
}

/**
 * A number that tells client ids apart when they lose their links. Most brokers take all who have one client id for one device,
 * whatever else they say, so two who fight for it are one.
 */
export function deviceNumber(connection: ConnectionView): number {
  const { pool, clientId } = deviceOf(connection);
  return clientId === '' ? hash32(addressOf(connection.peer)) : clientNumber(pool, clientId);
}

/** The broker has accepted a device: it takes its client id on this proxy, and the main thread is told. */
export function acceptClient({ owners, lostLinks, isShared, tell }: Context, connection: Connection): void {
  const who = identityOf(connection);
  const client = deviceNumber(connection);
  if (owners.accept(connection, who) || lostLinks.hasLost(client))
    tell({ type: 'taken-over', clients: [client] });
  const ttlMs = claimTtlOf(connection, isShared);
  if (ttlMs === 0) return;
  const { acceptedAtMs: sinceMs, target } = connection;
  tell({ type: 'claimed', ...deviceOf(connection), who, sinceMs, node: target?.nodeId ?? '', ttlMs });
}

/** The broker has accepted a newer connection of the client id, in another thread or proxy. */
export function supersedeClient({ owners, tell }: Context, newer: Accepted): void {
  if (owners.supersede(newer))
    tell({ type: 'taken-over', clients: [clientNumber(newer.pool, newer.clientId)] });
}

/** Whose client id it is, of a connection that the broker has accepted. */
export function acceptedOf(connection: Connection | OpaqueConnection): Accepted | undefined {
  if (connection instanceof OpaqueConnection || connection.acceptedAtMs === 0) return undefined;
  const { who, acceptedAtMs: sinceMs } = connection;
  return { ...deviceOf(connection), who, sinceMs };
}

/** The session of the device is at another node. */
export function clientMoved({ isShared, tell }: Context, connection: Connection): void {
  if (claimTtlOf(connection, isShared) === 0) return;
  const { acceptedAtMs: sinceMs, target } = connection;
  tell({ type: 'claim-moved', ...deviceOf(connection), sinceMs, node: target?.nodeId ?? '' });
}

/** The connection of the device has ended. */
export function clientEnded({ owners, isShared, tell }: Context, connection: Connection): void {
  owners.delete(connection);
  if (connection.acceptedAtMs > 0 && claimTtlOf(connection, isShared) > 0)
    tell({ type: 'released', ...deviceOf(connection) });
}

/**
 * How long it is remembered where this device is served, in ms; 0: not at all. An empty client id belongs to no
 * device.
 */
function claimTtlOf({ clientId, route, session }: Connection, isShared: boolean): number {
  if (clientId === '') return 0;
  const ttlMs = route?.claimTtlMs ?? 0;
  return ttlMs === 0 && session !== undefined && isShared ? OWNED_TTL_MS : ttlMs;
}
