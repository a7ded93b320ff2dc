import { isCrowded, isOfIdentity, isRetryable } from '../protocol/mqtt/connack.ts';
import type { Connect } from '../protocol/mqtt/connect.ts';
import { hexOf, type ReasonCode } from '../protocol/mqtt/reason-codes.ts';
import { Attachment } from './attachment.ts';
import { TAKEOVER_MS } from './close-reasons.ts';
import { ConnectAttempts, type Overdue } from './connect-attempts.ts';
import type { MoveCause, PoolRoute } from './connection-host.ts';
import { noCopies, purge, withCopy } from './copies.ts';
import type { Drop } from './drop.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { HandedUpstream } from './handed-forwarder.ts';
import { describeUpstream, reviveUpstream } from './handed-upstream.ts';
import { type HangHost, HungNode } from './hung-node.ts';
import { linkLost, lossOver } from './link-loss.ts';
import type { LostLink } from './lost-link.ts';
import { type Move, Moves } from './migration.ts';
import type { CloseMode } from './part.ts';
import { isBetweenPackets, obstacle } from './planned-move.ts';
import type { StaleSessionPurge } from './stale-session-purge.ts';
import { turnAway } from './turn-away.ts';
import type { MoveAnswer, UpstreamHost } from './upstream-host.ts';
import type { EndCause, Link, Target } from './wire.ts';

/** Where a session is: finds it its first node, takes it from node to node, and leaves the last (`LIFECYCLE.md`). */
export class SessionUpstream implements HangHost {
  readonly at: Attachment;
  /** The device was sent something while no node served it. */
  spoken = false;
  readonly connection: ForwarderHost;
  readonly owner: UpstreamHost;
  readonly connect: Connect;
  route: PoolRoute;
  copies = noCopies;
  attempts: ConnectAttempts | undefined;
  /** The serving node has ended the link, and nobody knows yet what that means. */
  lost: LostLink | undefined;
  hung: HungNode | undefined;
  move: Move | undefined;
  moves: Moves | undefined;
  private purge: StaleSessionPurge | Drop | undefined;

  constructor(connect: Connect, route: PoolRoute, owner: UpstreamHost) {
    this.connection = owner.connection;
    this.connect = connect;
    this.route = route;
    this.owner = owner;
    this.at = new Attachment(owner);
  }

  needMoves(): Moves {
    this.moves ??= new Moves(this.connection, this.route.moves.reattachDeadlineMs);
    return this.moves;
  }

  get isOver(): boolean {
    return this.at.isOver;
  }

  get link(): Link {
    return this.at.link;
  }

  /** The node that serves, or is asked to. */
  get target(): Target | undefined {
    return (this.at.permit ?? this.attempts?.permit)?.target;
  }

  get isMoving(): boolean {
    return this.move !== undefined || this.lost !== undefined || (this.hung?.isSilent ?? false);
  }

  /** For another process. Undefined while something is asked or decided. */
  describe(): HandedUpstream | undefined {
    return describeUpstream(this);
  }

  /** Goes on where another process was, at this node, or behind it. */
  revive(target: Target, handed: HandedUpstream): void {
    reviveUpstream(this, target, handed);
  }

  // ---- finding a node --------------------------------------------------------------------------------------

  search(preferred: string | undefined): void {
    this.attempts = this.attemptsFor(preferred, this.move?.from);
    this.tryNext();
  }

  private attemptsFor(preferred: string | undefined, avoid: string | undefined): ConnectAttempts {
    const { connection, connect } = this;
    this.route = connection.host.follow(this.route, connect, connection.peer);
    return new ConnectAttempts(connection, this.route.place(connect, connection.peer, preferred), {
      avoid,
      connackDeadlineMs: this.move && this.route.moves.reattachConnackDeadlineMs,
      ...{ turns: connection.host.turns.lost, turnDeadlineMs: this.route.moves.reattachDeadlineMs },
      goodbye: () => this.owner.session.goodbye(false),
      waits: () => this.move?.isPlanned ?? false,
      gone: () => this.attemptOver('connack-timeout'),
    });
  }

  private tryNext(): void {
    const { attempts, move } = this;
    // What a node has begun to say to the device, no other can go on with [MQTT-4.12.1-1] (rule 17).
    const isOver = move === undefined && this.spoken;
    const target = isOver ? undefined : attempts?.choose(move === undefined);
    if (attempts === undefined || target === undefined) return this.exhausted();
    if (move === undefined) attempts.dialInTurn();
    else if (this.at.permit === undefined) attempts.dialAtTurn();
    else if (move.wants(target)) {
      this.at.goOn();
      attempts.dial();
    } else this.exhausted();
  }

  private exhausted(): void {
    const { attempts, connection, move } = this;
    attempts?.giveUp();
    this.attempts = undefined;
    if (move === undefined) return turnAway(connection, this.connect, attempts);
    if (this.at.permit !== undefined) {
      this.move = undefined; // the old node goes on serving
      this.needMoves().ended(move, undefined, false);
      this.at.goOn();
      return this.isOver ? undefined : this.owner.served();
    }
    const wait = move.backoff(connection.host.now(), connection.host.random());
    if (wait !== undefined) return connection.wire.setTimer(wait);
    this.needMoves().ended(move, undefined, false);
    this.owner.end('no-node');
  }

  /** False when no node is sought: then the timer is not the upstream's. */
  timer(): boolean {
    const { attempts, move, lost, at } = this;
    if (at.saidGoodbye) at.sayGoodbye({}); // it was waited for
    if (this.isOver) this.purge?.giveUp();
    else if (at.isQuiescing) this.quiescent();
    else if (lost !== undefined) lost.timer();
    else if (attempts !== undefined) this.attemptOver(attempts.due());
    else if (move !== undefined) this.search(undefined);
    return lost !== undefined || attempts !== undefined || move !== undefined;
  }

  attemptOver(why: Overdue | undefined): void {
    if (why === undefined) return;
    if (this.attempts?.isAsking) this.hungNode().strays(1, this.route.moves.silenceDeadlineMs);
    this.tryAnother((attempts) => attempts.fail(why));
  }

  linkOpened(link: Link): void {
    if (this.isOver) return this.purge?.opened(link);
    const { attempts, at } = this;
    if (this.hung?.opened(link) || attempts === undefined) return;
    if (at.permit === undefined) this.ask(attempts);
    else at.quiesce(this.route.moves.silenceTimeoutMs);
  }

  private ask(attempts: ConnectAttempts): void {
    this.at.link = attempts.link;
    this.at.send(attempts.link, this.owner.session.connectPacket());
    attempts.opened();
  }

  linkFailed(link: Link, errno: string): void {
    if (this.isOver) return this.purge?.failed(link);
    if (this.hung?.failed(link, errno)) return;
    this.attempts?.dialFailed(errno);
    this.tryNext();
  }

  refused(code: number, packet: Uint8Array): void {
    const { connect, move } = this;
    if (isRetryable(connect.protocolVersion, code))
      return this.tryAnother((attempts) => attempts.busy(`CONNACK ${hexOf(code)}`, packet));
    if (move === undefined) return this.connection.refuse('node-refused', packet, 'connect-rejected');
    if (isOfIdentity(connect.protocolVersion, code) && this.at.oldLink < 0) {
      this.needMoves().ended(move, undefined, false);
      return this.owner.end('connect-rejected'); // no node would say otherwise
    }
    this.tryAnother((attempts) => attempts.declined(isCrowded(connect.protocolVersion, code)));
  }

  /** Leaves the link that is tried for another node, unless the connection ends with it. */
  private tryAnother(leave: (attempts: ConnectAttempts) => void): void {
    if (this.link === this.attempts?.link) {
      this.at.link = -1;
      if (!this.at.detach()) return;
    }
    if (this.attempts !== undefined) leave(this.attempts);
    this.tryNext();
  }

  /** The node has accepted, and the session waits for its trial. That says nothing of the node, and others need not wait for it. */
  awaitsTrial(): void {
    this.attempts?.endTurn('answered');
  }

  accepted(): void {
    const permit = this.attempts?.succeeded();
    this.attempts = undefined;
    this.at.attach(permit);
  }

  /** `leftBehind`: the node before may keep a copy of a session that was to be clean. */
  resumed(sessionPresent: boolean, leftBehind: boolean): void {
    const { move, at } = this;
    const connackMs = this.attempts?.waitedMs;
    this.move = undefined;
    this.accepted();
    if (leftBehind && move !== undefined) this.copies = withCopy(this.copies, move.origin);
    at.sayGoodbye({ endsSession: !sessionPresent, isHung: move?.isFromHung });
    if (move !== undefined) this.needMoves().ended(move, at.permit?.target, sessionPresent, connackMs);
  }

  // ---- losing a node ---------------------------------------------------------------------------------------

  linkEnded(link: Link, cause: EndCause): void {
    if (this.isOver) return this.purge?.end(link);
    if (link === this.at.oldLink) {
      const wasLeftFirst = this.at.saidGoodbye;
      this.at.oldLinkOver();
      this.owner.session.nodeGone();
      this.connection.wire.endNode(link, 'reset');
      return wasLeftFirst ? this.attemptOver(this.attempts?.due()) : undefined;
    }
    if (this.hung?.ended(link)) return;
    if (link === this.attempts?.link) return this.tryAnother((attempts) => attempts.ended(cause));
    const target = this.at.permit?.target;
    if (target !== undefined && !this.hung?.follows()) linkLost(this, target, cause);
  }

  /** The node says that it stops, or that the session should go elsewhere. */
  nodeLeaves(code: number, serverReference: string | undefined): void {
    const { at } = this;
    const origin = at.permit?.target;
    if (origin === undefined)
      return this.tryAnother((attempts) => attempts.busy(`DISCONNECT ${hexOf(code)}`));
    this.hung?.leave();
    at.leaveNode('goodbye');
    const first = this.route.named(serverReference ?? '');
    if (at.detach()) this.moveOn(this.needMoves().start({ cause: 'node-leaving', origin }), first);
  }

  /** The broker has accepted a newer connection of the device. This link stays as long as its node keeps it. */
  superseded(): void {
    if (this.isOver) return this.purge?.giveUp();
    const isNewer = this.moves?.hasMovedSince(this.connection.host.now() - TAKEOVER_MS) ?? false;
    if (this.lost !== undefined) return this.owner.takenOver(lossOver(this, this.lost));
    const isSpeaking = this.link >= 0 && this.at.permit !== undefined && !this.hung?.isSilent;
    if (!isSpeaking || isNewer) this.owner.takenOver(true);
    else if (this.move !== undefined) this.exhausted();
  }

  /** Without a node: the session goes to another, at its turn. `to` is tried first. */
  moveOn(move: Move, to?: string): void {
    const { connection, owner } = this;
    if (connection.isSuperseded) return owner.takenOver(true); // rule 14
    if (owner.session.isTied) return owner.end('immovable'); // rule 17
    this.attempts?.giveUp(); // of a planned move
    this.attempts = undefined;
    this.move = move;
    const { delayMs } = this.needMoves();
    if (delayMs > 0) connection.wire.setTimer(delayMs);
    else this.search(to);
  }

  /** `attempts` has asked a node for the session, and nobody else has it. */
  goOn(move: Move, attempts: ConnectAttempts): void {
    this.move = move;
    this.attempts = attempts;
    this.at.link = attempts.link;
    attempts.lookAgain();
  }

  // ---- a node that hangs -----------------------------------------------------------------------------------

  hungNode(): HungNode {
    this.hung ??= new HungNode(this);
    return this.hung;
  }

  nodeHangs(): void {
    if (!this.isMoving || this.hung?.isSilent) this.hungNode().hangs();
  }

  // ---- planned moves ---------------------------------------------------------------------------------------

  /** Leaves a node that serves for another, or for that one and no other. */
  moveAway(cause: MoveCause, to: string | undefined): MoveAnswer {
    const origin = this.at.permit?.target;
    const why = obstacle(this);
    if (why !== undefined || origin === undefined) return why ?? 'later';
    const move = this.needMoves().start({ cause, origin, to });
    const attempts = this.attemptsFor(to, move.from);
    const target = attempts.choose();
    if (target === undefined || !move.wants(target)) {
      attempts.giveUp();
      return 'no-node';
    }
    this.move = move;
    this.attempts = attempts;
    if (this.owner.session.leavesFirst) this.at.quiesce(this.route.moves.silenceTimeoutMs);
    else attempts.dial();
    return this.isOver ? 'over' : 'moving';
  }

  /** The node that is to be left has finished what it was sent, or has had its time: it is not listened to any more. */
  quiescent(): void {
    const { at, attempts } = this;
    if (attempts === undefined || !at.isQuiescing) return;
    if (!isBetweenPackets(this.owner.session)) return this.exhausted(); // the move is off
    this.move?.leaves(this.connection.host.now());
    if (attempts.link >= 0) {
      if (at.leaveBehind()) this.ask(attempts);
    } else if (at.leaveFirst()) attempts.dialIn(this.route.moves.silenceTimeoutMs);
  }

  /** A planned move is given up: the device leaves its node, or the node ends its session. */
  giveUpMove(): void {
    this.hung?.leave();
    this.attempts?.giveUp();
    this.attempts = undefined;
    this.move = undefined;
  }

  // ---- the end ---------------------------------------------------------------------------------------------

  /** `purges`: nodes that may keep a session that the device wanted clean are asked to drop it. */
  leave(closeMode: CloseMode, purges: boolean): void {
    if (this.isOver) return this.purge?.giveUp();
    const { attempts, at } = this;
    const { session } = this.owner;
    const holder = at.link >= 0 ? this.target : undefined;
    if (at.isQuiescing) session.release(); // its node hears all that it said
    at.isOver = true;
    this.lost?.forget();
    this.lost = undefined;
    this.hung?.leave();
    at.leave(attempts, closeMode);
    if (purges && session.mustPurge) this.purge = purge(this.copies, holder, this.connection.wire, session);
  }

  /** The node that was asked has begun a session that lacks what the device had: it ends with `code` when that is dropped. */
  drop(code: ReasonCode): void {
    const { attempts, at, connect } = this;
    const permit = attempts?.succeeded();
    if (permit === undefined) return this.connection.close('flush');
    this.attempts = undefined;
    this.giveUpMove();
    this.purge = at.drop(permit, connect.protocolVersion, code);
  }

  /** What comes on any link but the session's. An old node's late bytes reach nobody (rule 14). */
  otherData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    if (!this.hung?.heard(link, bytes, start, end)) this.purge?.answered(link, bytes, start);
  }

  closed(): void {
    this.at.isOver = true;
    this.lost?.forget();
    this.hung?.closed();
    this.attempts?.closed();
    this.at.permit?.release();
    this.at.oldLinkOver();
  }
}
