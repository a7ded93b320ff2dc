/** Orders to move sessions, and what became of them. */

import type { Connection } from '../connection/connection.ts';
import type { MoveCause } from '../connection/connection-host.ts';
import { OpaqueConnection } from '../connection/opaque.ts';
import type { MoveAnswer } from '../connection/upstream-host.ts';
import type { MoveTally } from '../data-plane-api/messages.ts';
import { noMoves } from '../data-plane-api/move-tally.ts';

export interface Mover {
  /** Undefined: it has no session. */
  moveAway(connection: Connection, cause: MoveCause, to: string | undefined): MoveAnswer | undefined;
  /** Its pool is gone, and the rules give it no other. */
  isForsaken(connection: Connection): boolean;
}

interface Order {
  readonly node: string;
  readonly count: number;
  readonly cause: MoveCause;
  readonly to: string | undefined;
}

/**
 * Orders so many sessions away from a node. Connections that are relayed stay; what can never be moved, of an opaque
 * protocol too, is ended, or on a rebalance left alone.
 */
export function moveSome(
  open: Iterable<Connection | OpaqueConnection>,
  { node, count, cause, to }: Order,
  mover: Mover,
): MoveTally {
  const tally = { ...noMoves };
  for (const connection of open) {
    if (tally.moving + tally.noNode + tally.ended >= count) break;
    if (connection.placedAtMs === 0 || connection.target?.nodeId !== node) continue;
    const isOpaque = connection instanceof OpaqueConnection;
    const answer = isOpaque ? 'opaque' : mover.moveAway(connection, cause, to);
    if (answer === 'moving') tally.moving++;
    else if (answer === 'no-node' && cause === 'removed' && !isOpaque && mover.isForsaken(connection)) {
      tally.ended++;
      connection.end('pool-removed');
    } else if (answer === 'no-node') tally.noNode++;
    else if (answer === undefined || cause === 'rebalance') tally.stuck++;
    else if (answer === 'opaque' || answer === 'superseded' || answer === connection.session?.session.stays) {
      tally.ended++;
      connection.end('immovable'); // rule 17: it is told to come again, and finds another node
    } else tally.later++;
  }
  return tally;
}

/** Orders all of these to move. */
export function moveAll(connections: Iterable<Connection>, to: string | undefined, mover: Mover): MoveTally {
  const tally = { ...noMoves };
  for (const connection of connections) {
    const answer = mover.moveAway(connection, 'move', to);
    if (answer === 'moving') tally.moving++;
    else if (answer === 'no-node') tally.noNode++;
    else if (answer === 'later') tally.later++;
    else tally.stuck++;
  }
  return tally;
}
