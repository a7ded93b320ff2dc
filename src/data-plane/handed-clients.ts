/** What the thread keeps of a device besides its connection, when that comes from another process, or goes to one. */

import { BreakwaterError } from '../base/errors.ts';
import { Connection } from '../connection/connection.ts';
import type { ConnectionHost } from '../connection/connection-host.ts';
import type { HandedConnection, HandedPeer } from '../connection/handed.ts';
import { describePeer } from '../connection/handed-peer.ts';
import { OpaqueConnection } from '../connection/opaque.ts';
import { WebSocketLayer } from '../connection/websocket/layer.ts';
import type { UpgradeHook, UpgradeTerms } from '../connection/websocket/upgrade.ts';
import type { Peer, Wire, WireEvents } from '../connection/wire.ts';
import type { ClientIds } from './client-ids.ts';
import type { SessionMemories } from './session-memories.ts';

/** A device as another process takes it over, besides its sockets. */
export interface HandedClient {
  /** For its engine. */
  readonly wire: Wire;
  readonly peer: HandedPeer;
  readonly state: HandedConnection;
}

/** The engine's, which a WebSocket may stand before. */
export function engineWireOf({ wire }: Connection | OpaqueConnection): Wire {
  return wire instanceof WebSocketLayer ? wire.wire : wire;
}

/** Undefined: not now. What is about to become known of its session comes to this process. */
export function describeClient(
  { memories }: Context,
  connection: Connection | OpaqueConnection,
): HandedClient | undefined {
  if (!(connection instanceof OpaqueConnection) && memories.isAwaiting(connection)) return undefined;
  const inner = connection.describe();
  const layer = connection.wire instanceof WebSocketLayer ? connection.wire : undefined;
  const state = layer === undefined || inner?.kind !== 'mqtt' ? inner : layer.describe(inner);
  return state && { wire: engineWireOf(connection), peer: describePeer(connection.peer), state };
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

/**
 * What another process has described, and what its engine tells: the connection, or the WebSocket that is around it.
 * @throws BreakwaterError as `Connection.revive`; then nothing has changed
 */
export function reviveConnection(
  state: HandedConnection,
  wire: Wire,
  peer: Peer,
  host: ConnectionHost,
  terms: UpgradeTerms | undefined,
  hook: UpgradeHook,
): { readonly connection: Connection | OpaqueConnection; readonly events: WireEvents } {
  if (state.kind !== 'websocket') {
    const connection =
      state.kind === 'mqtt'
        ? Connection.revive(wire, peer, host, state)
        : OpaqueConnection.revive(wire, peer, host, state);
    return { connection, events: connection };
  }
  if (terms === undefined)
    throw new BreakwaterError(
      'HANDOVER_INVALID',
      'this listener speaks no WebSocket: the device stays there',
    );
  const layer = WebSocketLayer.revive(wire, peer, terms, hook, state);
  const connection = Connection.revive(layer, layer.peer, host, state.inner);
  layer.carry(connection);
  return { connection, events: layer };
}
