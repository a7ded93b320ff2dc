/** The data thread of a device ends: what is only begun for the device is given up, where the next thread can begin it anew. */

import type { Forwarder } from './forwarder.ts';
import type { Unserved } from './greeting.ts';
import { Relay } from './relay.ts';
import { SessionForwarder } from './session-forwarder.ts';
import type { SessionUpstream } from './session-upstream.ts';

/**
 * Where no node has answered the device, its CONNECT and all behind it is to be sent anew: a node that has it already gets a goodbye, so
 * that it fires no Will. Where a node serves, that one goes on to, and another one is not asked. A session that no node has, because it
 * moves, is asked for anew.
 * @returns undefined: a node has served the device, or not all that it has said is kept
 */
export function stepBack(forwarder: Forwarder | undefined): Unserved | undefined {
  if (forwarder instanceof Relay) return forwarder.giveUpSearch();
  return forwarder instanceof SessionForwarder ? ofSession(forwarder) : undefined;
}

function ofSession(forwarder: SessionForwarder): Unserved | undefined {
  const { session, upstream } = forwarder;
  const said = forwarder.isServed || upstream.spoken ? undefined : session.unanswered;
  if (!upstream.isOver && upstream.lost === undefined) leaveNext(upstream);
  return said && { said, hasFinished: forwarder.parting.finished };
}

/** No node is asked any more. */
function leaveNext(upstream: SessionUpstream): void {
  const { at, attempts, move, route, connection } = upstream;
  if (at.permit !== undefined) return stay(upstream);
  if (at.link >= 0) {
    at.link = -1;
    if (!at.detach()) return;
  }
  if (attempts === undefined) return;
  if (attempts.isAsking) upstream.hungNode().strays(1, route.moves.silenceDeadlineMs);
  attempts.withdraw();
  upstream.attempts = undefined;
  if (move !== undefined) connection.wire.setTimer(1);
}

/** The session is not moved, nor asked for elsewhere: whether its node hangs is found anew. */
function stay(upstream: SessionUpstream): void {
  const { move, hung, owner } = upstream;
  if (move === undefined && !hung?.isSilent) return hung?.leave();
  upstream.giveUpMove();
  if (move !== undefined) upstream.needMoves().ended(move, undefined, false);
  owner.session.release();
  owner.drainEvents();
  if (!upstream.isOver) owner.served();
}
