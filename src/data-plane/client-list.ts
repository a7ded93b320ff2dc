/** Which connections of a listener people mean, and what they are shown of them. */

import type { Connection } from '../connection/connection.ts';
import { OpaqueConnection } from '../connection/opaque.ts';
import type { Whom } from '../data-plane-api/device-order.ts';
import type { ClientAnswer, ClientFilter } from '../data-plane-api/messages.ts';
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

/** Of these, the served ones that the filter lets through: those of the lowest numbers, in their order. */
export function listed(
  from: Iterable<Carried>,
  { whom, node, match, after = -1, limit }: ClientFilter,
  listener: number,
  nowMs: number,
): ClientAnswer {
  const found: Connection[] = [];
  let total = 0;
  for (const connection of from) {
    if (connection instanceof OpaqueConnection || connection.placedAtMs === 0) continue;
    if (node !== undefined && nodeOf(connection) !== node) continue;
    if (match !== undefined && !connection.clientId.includes(match)) continue;
    total++;
    if (connection.number > after) found.push(connection);
  }
  const chosen = limit === 0 ? [] : lowest(found, limit);
  const clients = chosen.map((connection) => clientRecord(connection, listener, nowMs, whom !== undefined));
  return { clients, total, behind: found.length };
}

/** The connections of the lowest numbers, in their order. Numbers alone are sorted: there may be a hundred thousand. */
function lowest(found: readonly Connection[], limit: number): readonly Connection[] {
  let chosen = found;
  if (found.length > limit) {
    const numbers = Float64Array.from(found, ({ number }) => number).sort();
    const last = numbers[limit - 1] ?? 0;
    chosen = found.filter(({ number }) => number <= last);
  }
  return chosen.toSorted((a, b) => a.number - b.number);
}

/** One list of several, each in the order of its numbers. */
export function laidTogether(answers: readonly ClientAnswer[], limit: number): ClientAnswer {
  const all = answers.flatMap(({ clients }) => clients).sort((a, b) => a.connection - b.connection);
  return {
    clients: all.slice(0, limit),
    total: answers.reduce((sum, { total }) => sum + total, 0),
    behind: answers.reduce((sum, { behind }) => sum + behind, 0),
  };
}
