/** Which connections of a listener people mean, and what they are shown of them. */

import type { Connection } from '../connection/connection.ts';
import { OpaqueConnection } from '../connection/opaque.ts';
import type { ClientAnswer, ClientFilter, ClientRecord, Whom } from '../data-plane-api/messages.ts';
import type { ClientIds } from './client-ids.ts';
import { clientRecord, nodeOf } from './client-record.ts';
import { isCutId, isIdOf } from './shown-id.ts';
import type { SwapRemoveSet } from './swap-remove-set.ts';

type Carried = Connection | OpaqueConnection;

/** The served connections that the request means, of the open ones. */
export function* meantBy(
  whom: Whom,
  open: SwapRemoveSet<Carried>,
  owners: ClientIds<Connection>,
): Iterable<Connection> {
  if ('clientId' in whom && !isCutId(whom.clientId)) {
    for (const connection of owners.named(whom.clientId)) if (open.has(connection)) yield connection;
    return;
  }
  for (const connection of open) {
    if (connection instanceof OpaqueConnection || connection.placedAtMs === 0) continue;
    const isMeant =
      'connection' in whom
        ? connection.number === whom.connection
        : isIdOf(whom.clientId, connection.clientId);
    if (isMeant) yield connection;
  }
}

/** Of these, the served ones that the filter lets through. */
export function listed(
  from: Iterable<Carried>,
  { whom, node, match, limit }: ClientFilter,
  listener: number,
  nowMs: number,
): ClientAnswer {
  const clients: ClientRecord[] = [];
  let total = 0;
  for (const connection of from) {
    if (connection instanceof OpaqueConnection || connection.placedAtMs === 0) continue;
    if (node !== undefined && nodeOf(connection) !== node) continue;
    if (match !== undefined && !connection.clientId.includes(match)) continue;
    total++;
    if (clients.length >= limit) continue;
    clients.push(clientRecord(connection, listener, nowMs, whom !== undefined));
  }
  return { clients, total };
}
