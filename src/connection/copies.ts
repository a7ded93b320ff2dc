import type { Session } from '../session/index.ts';
import { StaleSessionPurge } from './stale-session-purge.ts';
import type { Target, Wire } from './wire.ts';

/**
 * The nodes that may keep a stale copy of a session that the device wanted clean, so that they can be asked to drop
 * it.
 */
const COPIES = 4;

/** The last nodes that may keep a copy of a session that was to be clean. */
type Copies = readonly Target[];

export const noCopies: Copies = [];

export function withCopy(copies: Copies, target: Target): Copies {
  return [...copies, target].slice(-COPIES);
}

/** Asks them, and the node that had the session last, to drop it. Undefined where there is no such node. */
export function purge(
  copies: Copies,
  last: Target | undefined,
  wire: Wire,
  session: Session,
): StaleSessionPurge | undefined {
  const all = last === undefined ? copies : [last, ...copies];
  const byId = new Map(all.map((target) => [target.nodeId, target]));
  return byId.size === 0 ? undefined : new StaleSessionPurge(wire, session, [...byId.values()]);
}
