/** Where a connection is that comes from another process: its pool and its node, as they are known here. */

import { BreakwaterError } from '../base/errors.ts';
import { type Connect, decodeConnect } from '../protocol/mqtt/connect.ts';
import type { ConnectionHost, PoolRoute } from './connection-host.ts';
import type { HandedSessionForwarder } from './handed-forwarder.ts';
import type { Peer, Target } from './wire.ts';

/**
 * The CONNECT at the beginning of these bytes, and where it ends.
 * @throws BreakwaterError HANDOVER_INVALID
 */
export function connectIn(bytes: Uint8Array): { readonly connect: Connect; readonly end: number } {
  const result = decodeConnect(bytes, 0, bytes.length, Number.POSITIVE_INFINITY);
  if (result.kind === 'connect') return result;
  throw new BreakwaterError(
    'HANDOVER_INVALID',
    'a connection of another process has no whole CONNECT: it stays there',
  );
}

/**
 * Where a session is. It may be in another pool by now than the one that it began in, and that one may be gone.
 * @throws BreakwaterError HANDOVER_INVALID
 */
export function sessionPlace({ session, upstream }: HandedSessionForwarder): {
  readonly connect: Connect;
  readonly pool: string;
  readonly node: string;
} {
  return { connect: connectIn(session.raw).connect, pool: upstream.pool, node: upstream.at.node };
}

/** @throws BreakwaterError POOL_UNKNOWN */
export function handedRoute(
  host: ConnectionHost,
  pool: string,
  connect: Partial<Connect>,
  peer: Peer,
): PoolRoute {
  const route = host.routeTo(pool, connect, peer);
  if (route !== undefined) return route;
  throw new BreakwaterError(
    'POOL_UNKNOWN',
    `pool '${pool}' of a connection of another process is not known here: it stays there`,
  );
}

/** @throws BreakwaterError NODE_UNKNOWN */
export function handedTarget(route: PoolRoute, node: string, peer: Peer): Target {
  const target = route.target(node, peer);
  if (target !== undefined) return target;
  throw new BreakwaterError(
    'NODE_UNKNOWN',
    `node '${node}' of a connection of another process is not known in pool '${route.name}' here: it stays there`,
  );
}
