/** What the thread keeps of a device besides its connection, when that comes from another process, or goes to one. */

import type { Connection } from '../connection/connection.ts';
import type { HandedConnection, HandedPeer } from '../connection/handed.ts';
import { describePeer } from '../connection/handed-peer.ts';
import { OpaqueConnection } from '../connection/opaque.ts';
import type { Wire } from '../connection/wire.ts';
import type { ClientIds } from './client-ids.ts';
import type { SessionMemories } from './session-memories.ts';

/** A device as another process takes it over, besides its sockets. */
export interface HandedClient {
  /** For its engine. */
  readonly wire: Wire;
  readonly peer: HandedPeer;
  readonly state: HandedConnection;
}

/** Undefined: not now. What is about to become known of its session comes to this process. */
export function describeClient(
  { memories }: Context,
  connection: Connection | OpaqueConnection,
): HandedClient | undefined {
  if (!(connection instanceof OpaqueConnection) && memories.isAwaiting(connection)) return undefined;
  const state = connection.describe();
  return state && { wire: connection.wire, peer: describePeer(connection.peer), state };
}

interface Context {
  readonly owners: ClientIds<Connection>;
  readonly memories: SessionMemories;
}

/** Nobody is told: for the cluster it is the connection that it was. */
export function clientRevived(
  { owners, memories }: Context,
  connection: Connection | OpaqueConnection,
): void {
  if (connection instanceof OpaqueConnection) return;
  owners.revive(connection);
  if (connection.acceptedAtMs > 0) memories.revive(connection);
}

/** Nobody is told: another process has it. */
export function clientDeparted(
  { owners, memories }: Context,
  connection: Connection | OpaqueConnection,
): void {
  if (connection instanceof OpaqueConnection) return;
  owners.forget(connection);
  memories.forget(connection);
}
