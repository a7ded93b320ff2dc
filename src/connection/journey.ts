import { isOfIdentity, isRetryable } from '../mqtt/connack.ts';
import type { Connect } from '../mqtt/connect.ts';
import { hexOf } from '../mqtt/reason-codes.ts';
import { Attempts } from './attempts.ts';
import type { Shell } from './carrier.ts';
import { noCopies, purge, withCopy } from './copies.ts';
import { TAKEOVER_MS } from './ends.ts';
import type { Evidence } from './evidence.ts';
import { type LossOwner, LostLink } from './lost-link.ts';
import { hasMovedSince, Move, type MoveStart, noHistory, withNewest } from './move.ts';
import { type Parting, part } from './part.ts';
import type { Purge } from './purge.ts';
import type { Seat } from './seat.ts';
import type { MoveAnswer, Traveller } from './traveller.ts';
import { turnAway } from './turn-away.ts';
import type { EndCause, Link, Target } from './wire.ts';
import type { MoveCause, PoolRoute } from './world.ts';

/**
 * Where a session is: finds it its first node, takes it from node to node, and leaves the last.
 *
 *   first node  dial ──► CONNECT ──► accepted
 *   link ended  detached ──► the node lives: the device is ended likewise
 *                  └──► the node is gone ──► its turn ──► dial ──► CONNECT again ──► resumed
 *   planned     dial ──► detached ──► CONNECT again ──► resumed ──► goodbye at the old node
 *
 * The connection's timer belongs to `lost` while it is not known whether the node is gone, to `attempts` while a node is
 * sought, to `move` between two rounds of them, and to `purge` when it is over.
 */
export class Journey implements LossOwner {
  /** The link that the session speaks on. */
  link: Link = -1;
  /** The last re-attachments, newest last. */
  history = noHistory;
  /** The device was sent something while no node served it. */
  spoken = false;
  isOver = false;
  private readonly shell: Shell;
  private readonly traveller: Traveller;
  private readonly connect: Connect;
  private route: PoolRoute;
  private copies = noCopies;
  private attempts: Attempts | undefined;
  /** At the node that serves. */
  private seat: Seat | undefined;
  /** When it took the session. */
  private attachedAtMs = 0;
  /** The serving node has ended the link, and nobody knows yet what that means. */
  lost: LostLink | undefined;
  /** The link to a planned move's old node, until the new one has the session. */
  private oldLink: Link = -1;
  move: Move | undefined;
  private purge: Purge | undefined;

  constructor(shell: Shell, connect: Connect, route: PoolRoute, traveller: Traveller) {
    this.shell = shell;
    this.connect = connect;
    this.route = route;
    this.traveller = traveller;
  }

  /** The node that serves, or is asked to. */
  get target(): Target | undefined {
    return (this.seat ?? this.attempts?.seat)?.target;
  }

  get isMoving(): boolean {
    return this.move !== undefined || this.lost !== undefined;
  }

  // ---- finding a node --------------------------------------------------------------------------------------

  search(preferred: string | undefined): void {
    this.attempts = this.attemptsFor(preferred, this.move?.from);
    this.tryNext();
  }

  private attemptsFor(preferred: string | undefined, avoid: string | undefined): Attempts {
    const { shell, connect } = this;
    this.route = shell.world.follow(this.route, connect, shell.peer);
    return new Attempts(shell, this.route.place(connect, shell.peer, preferred), { avoid });
  }

  private tryNext(): void {
    const { attempts, move, shell, route } = this;
    // What a node has begun to say to the device, no other can go on with [MQTT-4.12.1-1] (rule 17).
    const mayAskAgain = move !== undefined || !this.spoken;
    const target = mayAskAgain ? attempts?.choose(move === undefined) : undefined;
    if (attempts === undefined || target === undefined) return this.exhausted();
    if (move === undefined) attempts.dialInTurn();
    else if (this.seat === undefined) attempts.dialIn(shell.world.pace(target, route.moves.reattachRate));
    else if (move.wants(target)) attempts.dial();
    else this.exhausted();
  }

  /** Every candidate has failed. */
  private exhausted(): void {
    const { attempts, shell, move } = this;
    attempts?.giveUp();
    this.attempts = undefined;
    if (move === undefined) return turnAway(shell, this.connect, attempts);
    if (this.seat !== undefined) return this.callOff(move);
    const wait = move.backoff(shell.world.now(), shell.world.random());
    if (wait !== undefined) return shell.wire.setTimer(wait);
    this.record(move, undefined, false);
    this.traveller.end('no-node');
  }

  /** The old node goes on serving. */
  private callOff(move: Move): void {
    this.move = undefined;
    this.record(move, undefined, false);
    this.traveller.served();
  }

  /** False when no node is sought: then the timer is not the journey's. */
  timer(): boolean {
    const { attempts, move, lost } = this;
    if (lost !== undefined) lost.timer();
    else if (attempts !== undefined) this.attemptsTimer(attempts);
    else if (move !== undefined) this.search(undefined);
    return lost !== undefined || attempts !== undefined || move !== undefined;
  }

  private attemptsTimer(attempts: Attempts): void {
    if (attempts.link < 0) return attempts.dial(); // its turn has come
    this.tryAnother((failed) => failed.timedOut());
  }

  linkOpened(link: Link): void {
    if (this.isOver) return this.purge?.opened(link);
    const { attempts } = this;
    if (attempts === undefined) return;
    if (this.seat !== undefined && !this.turnFrom(this.seat)) return;
    this.link = link;
    this.send(link, this.traveller.session.connectPacket());
    attempts.opened();
  }

  linkFailed(link: Link, errno: string): void {
    if (this.isOver) return this.purge?.failed(link);
    this.attempts?.dialFailed(errno);
    this.tryNext();
  }

  private send(link: Link, packet: Uint8Array): void {
    this.shell.wire.toNode(link, packet, 0, packet.length);
  }

  refused(code: number, packet: Uint8Array): void {
    const { connect, move } = this;
    if (isRetryable(connect.protocolVersion, code))
      return this.tryAnother((attempts) => attempts.busy(`CONNACK ${hexOf(code)}`, packet));
    if (move === undefined) return this.shell.refuse('node-refused', packet, 'connect-rejected');
    if (isOfIdentity(connect.protocolVersion, code) && this.oldLink < 0) {
      this.record(move, undefined, false);
      return this.traveller.notWanted();
    }
    this.tryAnother((attempts) => attempts.giveUp()); // it speaks of the device: another node may say yes
  }

  private tryAnother(leave: (attempts: Attempts) => void): void {
    if (!this.unlink()) return;
    if (this.attempts !== undefined) leave(this.attempts);
    this.tryNext();
  }

  /** The link that is tried is the session's no longer. False when that was the end. */
  private unlink(): boolean {
    if (this.link !== this.attempts?.link) return true;
    this.link = -1;
    return this.detach();
  }

  accepted(): void {
    this.seat = this.attempts?.succeeded();
    this.attempts = undefined;
    this.attachedAtMs = this.shell.world.now();
    this.traveller.served();
  }

  /** `leftBehind`: the node before may keep a copy of a session that was to be clean. */
  resumed(sessionPresent: boolean, leftBehind: boolean): void {
    const { move, oldLink } = this;
    this.move = undefined;
    this.accepted();
    if (leftBehind && move !== undefined) this.copies = withCopy(this.copies, move.origin);
    if (oldLink >= 0) {
      this.oldLink = -1;
      this.send(oldLink, this.traveller.session.goodbye(!sessionPresent));
      this.shell.wire.endNode(oldLink, 'flush');
    }
    if (move !== undefined) this.record(move, this.seat?.target, sessionPresent);
  }

  private record(move: Move, to: Target | undefined, sessionPresent: boolean): void {
    const { world } = this.shell;
    const reattachment = move.ended(to, sessionPresent, world.now());
    this.history = withNewest(this.history, reattachment);
    world.reattached(this.shell, reattachment);
  }

  // ---- losing a node ---------------------------------------------------------------------------------------

  linkEnded(link: Link, cause: EndCause): void {
    if (this.isOver) return this.purge?.end(link);
    if (link === this.oldLink) {
      this.oldLink = -1;
      this.traveller.session.nodeGone();
      return this.shell.wire.endNode(link, 'reset');
    }
    if (link === this.attempts?.link) return this.tryAnother((attempts) => attempts.ended(cause));
    if (this.seat !== undefined) this.servingLinkEnded(this.seat, cause);
  }

  /** Of itself: the broker's word to the device, or the end of the node. The session waits until it is known which. */
  private servingLinkEnded({ target }: Seat, cause: EndCause): void {
    const { shell, route, traveller } = this;
    if (!shell.isSuperseded) shell.world.linkLost(shell, target, cause); // a takeover says nothing of the node
    this.giveUpMove();
    part(this.shell.wire, this.traveller, this.link, 'reset');
    this.link = -1;
    traveller.adrift();
    const isWhole = traveller.session.detached(true);
    if (shell.isSuperseded) return traveller.takenOver(isWhole);
    this.lost = new LostLink(shell, { target, cause, attachedAtMs: this.attachedAtMs, isWhole }, this);
    this.lost.decide(route.moves.lostLink);
  }

  nodeLives({ cause, isWhole }: LostLink): void {
    this.lost = undefined;
    if (this.shell.isTakenOver) this.traveller.takenOver(isWhole);
    else this.traveller.nodeEnded(cause);
  }

  nodeGone({ target, isWhole, lostAtMs }: LostLink, evidence: Evidence): void {
    const { seat, traveller } = this;
    this.lost = undefined;
    seat?.release();
    this.seat = undefined;
    if (!isWhole) return traveller.endInTheMiddle('node-reset');
    traveller.session.nodeGone();
    traveller.session.answerPings();
    traveller.settle();
    if (!this.isOver)
      this.moveOn(this.startMove({ cause: 'link-lost', origin: target, evidence, nowMs: lostAtMs }));
  }

  /** The node says that it goes, or that we should. */
  nodeLeaves(code: number, serverReference: string | undefined): void {
    if (this.seat === undefined)
      return this.tryAnother((attempts) => attempts.busy(`DISCONNECT ${hexOf(code)}`));
    this.leaveFor('node-leaving', this.route.named(serverReference ?? ''));
  }

  /** The node hangs. When it goes on, it finds our goodbye, so that no Will fires (rule 13). */
  nodeHangs(): void {
    if (this.seat !== undefined)
      this.shell.world.dialFailed(this.seat.target, 'silent', 'PINGREQ unanswered');
    this.leaveFor('node-silent', undefined);
  }

  /** Says goodbye to the node that serves. `to` is tried first. */
  private leaveFor(cause: MoveCause, to: string | undefined): void {
    const { seat } = this;
    if (seat === undefined) return;
    this.attempts?.giveUp(); // of a planned move
    this.leaveNode(seat, 'goodbye');
    if (this.detach()) this.moveOn(this.startMove({ cause, origin: seat.target }), to);
  }

  /** The broker has accepted a newer connection of the device. A link that lives, lives on, unless it is newer still. */
  superseded(): void {
    if (this.isOver) return this.purge?.giveUp();
    const isNewer = hasMovedSince(this.history, this.shell.world.now() - TAKEOVER_MS);
    if (this.link < 0 || !this.seat || isNewer) this.traveller.takenOver(this.lost?.isWhole ?? true);
    else if (this.move !== undefined) this.exhausted();
  }

  /** Without a node: the session goes to another, at its turn. `to` is tried first. */
  private moveOn(move: Move, to?: string): void {
    const { shell, traveller } = this;
    if (shell.isSuperseded) return traveller.takenOver(true); // rule 14
    if (traveller.session.isTied) return traveller.end('immovable'); // rule 17
    this.move = move;
    this.search(to);
  }

  private leaveNode(seat: Seat, parting: Parting): void {
    this.traveller.session.nodeGone();
    part(this.shell.wire, this.traveller, this.link, parting);
    this.link = -1;
    seat.release();
    this.seat = undefined;
  }

  /** False when that was the end. */
  private detach(): boolean {
    this.traveller.adrift();
    if (this.traveller.session.detached()) this.traveller.settle();
    else this.traveller.endInTheMiddle('node-reset');
    return !this.isOver;
  }

  private startMove(start: Pick<MoveStart, 'cause' | 'origin'> & Partial<MoveStart>): Move {
    const patienceMs = this.route.moves.reattachDeadlineMs;
    const nowMs = this.shell.world.now();
    return new Move({ to: undefined, evidence: undefined, nowMs, patienceMs, ...start });
  }

  // ---- planned moves ---------------------------------------------------------------------------------------

  /** Leaves a node that serves for another, or for that one and no other. */
  moveAway(cause: MoveCause, to: string | undefined): MoveAnswer {
    const { seat, traveller } = this;
    const { session } = traveller;
    if (this.isOver) return 'over';
    if (this.shell.isSuperseded) return 'superseded';
    if (session.stays !== undefined) return session.stays;
    if (seat === undefined || this.isMoving || !this.isBetweenPackets) return 'later';
    const move = this.startMove({ cause, origin: seat.target, to });
    const attempts = this.attemptsFor(to, move.from);
    const target = attempts.choose();
    if (target === undefined || !move.wants(target)) {
      attempts.giveUp();
      return 'no-node';
    }
    this.move = move;
    this.attempts = attempts;
    if (session.leavesFirst) {
      this.leaveNode(seat, 'goodbye');
      if (!this.detach()) return 'over';
    }
    attempts.dial();
    return 'moving';
  }

  /** A planned move is off: the device leaves its node, or the node the device. */
  giveUpMove(): void {
    this.attempts?.giveUp();
    this.attempts = undefined;
    this.move = undefined;
  }

  /** Is nothing half said, either way, that only this node can finish? */
  private get isBetweenPackets(): boolean {
    const { immovable, midPublish } = this.traveller.session;
    return immovable === undefined && !midPublish;
  }

  /** The new node's link is open: from here on the old node is not listened to. False when the move is off. */
  private turnFrom(seat: Seat): boolean {
    if (!this.isBetweenPackets) {
      this.exhausted();
      return false;
    }
    this.oldLink = this.link;
    this.link = -1;
    seat.release();
    this.seat = undefined;
    return this.detach();
  }

  // ---- the end ---------------------------------------------------------------------------------------------

  /** `purges`: a node that was asked to keep a session that was to be clean is told to drop it. */
  leave(parting: Parting, purges: boolean): void {
    if (this.isOver) return this.purge?.giveUp();
    this.isOver = true;
    const { attempts, link, oldLink } = this;
    const { session } = this.traveller;
    this.lost?.forget();
    this.lost = undefined;
    const holder = link >= 0 ? this.target : undefined;
    this.link = -1;
    if (oldLink >= 0) part(this.shell.wire, this.traveller, oldLink, parting);
    if (link >= 0 && link === attempts?.link) {
      if (parting === 'goodbye') this.send(link, session.goodbye(false));
      attempts.giveUp(parting === 'reset' ? 'reset' : 'flush');
    } else {
      if (link >= 0) part(this.shell.wire, this.traveller, link, parting);
      attempts?.giveUp();
    }
    this.seat?.release();
    if (purges && session.mustPurge) this.purge = purge(this.copies, holder, this.shell.wire, session);
  }

  /** What comes on any link but the session's. An old node's late bytes reach nobody (rule 14). */
  otherData(link: Link, bytes: Uint8Array, start: number): void {
    this.purge?.answered(link, bytes, start);
  }

  /** Every socket is closed. */
  closed(): void {
    this.isOver = true;
    this.lost?.forget();
    this.attempts?.closed();
    this.seat?.release();
  }
}
