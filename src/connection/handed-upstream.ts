/** Where a session is, as another process goes on with it: at a node that serves it, or at none, between two looks for one. */

import type { Attachment } from './attachment.ts';
import type { ConnectAttempts } from './connect-attempts.ts';
import type { PoolRoute } from './connection-host.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { HandedUpstream } from './handed-forwarder.ts';
import type { HungNode } from './hung-node.ts';
import type { LostLink } from './lost-link.ts';
import { Move, type Moves } from './migration.ts';
import type { Target } from './wire.ts';

/** What goes over of a `SessionUpstream`. */
interface Upstream {
  readonly at: Attachment;
  readonly connection: ForwarderHost;
  readonly attempts: ConnectAttempts | undefined;
  readonly lost: LostLink | undefined;
  readonly hung: HungNode | undefined;
  readonly moves: Moves | undefined;
  move: Move | undefined;
  copies: readonly Target[];
  spoken: boolean;
  route: PoolRoute;
  needMoves(): Moves;
  hungNode(): HungNode;
}

/** Undefined while a node is asked, or something is decided. */
export function describeUpstream(upstream: Upstream): HandedUpstream | undefined {
  const { at, attempts, lost, hung, move, moves, spoken, copies: targets, route, connection } = upstream;
  if (attempts !== undefined || lost !== undefined || hung?.isSilent || hung?.isDoubting) return undefined;
  const nowMs = connection.host.now();
  const place = move === undefined ? at.describe() : at.describeLeft(move.origin);
  const [straysMs, history] = [hung?.describe(nowMs) ?? [], moves?.describe(nowMs) ?? []];
  const copies = targets.map((of) => of.nodeId);
  return (
    place && { at: place, move: move?.describe(nowMs), pool: route.name, spoken, copies, straysMs, history }
  );
}

/**
 * Goes on where another process was, at this node, or behind it where the session moves. A copy at a node that is not known any more is
 * past help.
 */
export function reviveUpstream(upstream: Upstream, target: Target, handed: HandedUpstream): void {
  const { at, connection, route } = upstream;
  const { move, spoken, copies, straysMs, history } = handed;
  const nowMs = connection.host.now();
  if (history.length > 0) upstream.needMoves().revive(history, nowMs);
  upstream.spoken = spoken;
  upstream.copies = copies.flatMap((node) => route.target(node, connection.peer) ?? []);
  if (straysMs.length > 0) upstream.hungNode().revive(straysMs, nowMs);
  if (move === undefined) return at.revive(target, handed.at);
  at.reviveLeft(handed.at);
  upstream.move = Move.revive(target, upstream.needMoves(), move, nowMs);
}
