/** What becomes of a session whose node has ended its link: that is the word of the broker, or its death. */

import type { Attachment } from './attachment.ts';
import type { PoolRoute } from './connection-host.ts';
import type { Evidence } from './evidence.ts';
import type { ForwarderHost } from './forwarder.ts';
import { LostLink } from './lost-link.ts';
import type { Move, Moves } from './migration.ts';
import type { UpstreamHost } from './upstream-host.ts';
import type { EndCause, Target } from './wire.ts';

/** Whose link it is. */
interface Loser {
  readonly connection: ForwarderHost;
  readonly owner: UpstreamHost;
  readonly route: PoolRoute;
  readonly at: Attachment;
  lost: LostLink | undefined;
  readonly moves: Moves | undefined;
  needMoves(): Moves;
  giveUpMove(): void;
  moveOn(move: Move): void;
}

/**
 * The session waits until it is known which. A node that has only ended its own side may still read: until then its link is kept,
 * and what the device says waits.
 */
export function linkLost(of: Loser, target: Target, cause: EndCause): void {
  const { connection, route, owner, at } = of;
  const isExplained = owner.isOverdue;
  // A takeover says nothing of the node, nor does the end of a device that says nothing itself.
  if (!connection.isTakenOver && !isExplained) connection.host.linkLost(connection, target, cause);
  of.giveUpMove();
  owner.adrift();
  const { isSuperseded } = connection;
  // A device that is paced would need its timer beside that of the end.
  const isFree = owner.session.attached && !owner.session.isWithheld && route.rates === undefined;
  const mayRead = cause === 'fin' && isFree && !connection.isTakenOver;
  if (mayRead) owner.session.withhold(true);
  const isWhole = mayRead || cutOff(of);
  if (isSuperseded) return owner.takenOver(isWhole);
  const facts = { target, cause, attachedAtMs: at.attachedAtMs, isWhole, mayRead, isExplained };
  of.lost = new LostLink(connection, facts, {
    nodeLives: (lost) => nodeLives(of, lost),
    nodeGone: (lost, evidence) => nodeGone(of, lost, evidence),
  });
  of.lost.decide(route.moves.lostLink);
}

/** Nothing goes to the node any more. False: the device has part of a message that only it could complete. */
function cutOff({ at, owner }: Loser): boolean {
  at.part(at.link, 'reset');
  at.link = -1;
  return owner.session.detached(true);
}

/** It is known, or does not matter any more. Returns the same as `cutOff`. */
export function lossOver(of: Loser, lost: LostLink): boolean {
  lost.forget();
  of.lost = undefined;
  return lost.mayRead ? cutOff(of) : lost.isWhole;
}

function nodeLives(of: Loser, lost: LostLink): void {
  const { connection, owner } = of;
  if (lost.mayRead && !connection.isTakenOver) return owner.nodeFinished(); // `lost` stays, so that nothing else is begun
  const isWhole = lossOver(of, lost);
  if (connection.isTakenOver) owner.takenOver(isWhole);
  else owner.nodeEnded(lost.cause);
}

function nodeGone(of: Loser, lost: LostLink, evidence: Evidence): void {
  const { at, owner } = of;
  const { target, lostAtMs } = lost;
  const isWhole = lossOver(of, lost);
  at.permit?.release();
  at.permit = undefined;
  if (!isWhole) return owner.endInTheMiddle('node-reset');
  if (of.moves?.isInVain) return owner.nodeEnded(lost.cause); // whatever the nodes may be, they all end it
  if (!owner.needDeaths().survives(target, evidence)) return;
  owner.session.nodeGone();
  owner.session.answerPings();
  owner.drainEvents();
  if (!at.isOver)
    of.moveOn(of.needMoves().start({ cause: 'link-lost', origin: target, evidence, nowMs: lostAtMs }));
}
