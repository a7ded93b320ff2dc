import { isRetryable } from '../mqtt/connack.ts';
import type { Connect } from '../mqtt/connect.ts';
import { type ReasonCode, reasonCode, refusalConnack } from '../mqtt/reason-codes.ts';
import { type EndWhy, type Immovable, Session, type SessionEvent } from '../session/index.ts';
import { Attempts } from './attempts.ts';
import type { Carrier, Shell } from './carrier.ts';
import { isUnwelcome, Move } from './move.ts';
import { Purge } from './purge.ts';
import type { Seat } from './seat.ts';
import { sessionOptions } from './session-options.ts';
import { Vigil } from './vigil.ts';
import type { EndCause, Link, Target } from './wire.ts';
import type { DialFailure, EndReason, MoveCause, PoolRoute, Reattachment } from './world.ts';

/** Re-attachments that `client inspect` shows. */
const HISTORY = 10;
const noHistory: readonly Reattachment[] = [];
/** Part of `silenceTimeout` in which a suspected node must answer; the rest is for the suspicion. */
const PROOF = 0.4;

const REASON_OF_END: Readonly<Record<Exclude<EndWhy, 'asked'>, EndReason>> = {
  'device-protocol-error': 'protocol-error',
  'packet-too-large': 'protocol-error',
  'granted-less': 'granted-less',
  'promised-less': 'granted-less',
  'session-lost': 'session-lost',
  'too-much-held': 'session-lost',
};

/**
 * How a node is left. `reset`: as by a device that vanished, so that its Will fires. `goodbye`: with a DISCONNECT of
 * ours, so that it does not. `flush`: behind whatever the device said last.
 */
type Parting = 'reset' | 'goodbye' | 'flush';

/** What becomes of an order to move: `later` passes by itself. */
export type MoveAnswer = 'moving' | 'later' | 'no-node' | Immovable;

/**
 * Session mode: the session follows the packets, so that when its node is lost, leaves or is drained, another node
 * takes it while the device stays connected. Rules: `docs/session-mode.md`.
 *
 *   first node  dial ──► CONNECT ──► accepted ──► served
 *   node lost   served ──► detached ──► its turn ──► dial ──► CONNECT again ──► resumed ──► served
 *   planned     served ──► dial ──► detached ──► CONNECT again ──► resumed ──► goodbye at the old node ──► served
 *
 * Until it is over, exactly one of these has the connection's timer: `attempts`, while a node is sought; else `move`,
 * between two rounds of them; else `vigil`, while a node serves. When it is over, `purge`.
 */
export class SessionCarrier implements Carrier {
  readonly session: Session;
  /** The last re-attachments, newest last. */
  history = noHistory;

  private readonly shell: Shell;
  private readonly connect: Connect;
  private readonly route: PoolRoute;
  private attempts: Attempts | undefined;
  /** At the node that serves. */
  private seat: Seat | undefined;
  /** The link that the session speaks on. */
  private link: Link = -1;
  /** The link to a planned move's old node, until the new one has the session. */
  private oldLink: Link = -1;
  private move: Move | undefined;
  private vigil: Vigil | undefined;
  private events: SessionEvent[] | undefined;
  private holds = false;
  /** A node has begun to talk to the device before it accepted it. */
  private spoken = false;
  /** The device sent DISCONNECT, which waits for the next node. */
  private leaving = false;
  private parting: Parting = 'reset';
  private mayPurge = true;
  private purge: Purge | undefined;
  private isOver = false;

  /** `raw` is the packet that `connect` was decoded from. */
  constructor(shell: Shell, connect: Connect, route: PoolRoute, raw: Uint8Array) {
    this.shell = shell;
    this.connect = connect;
    this.route = route;
    const options = sessionOptions(shell.world, route, connect.clientId === '');
    this.session = new Session(connect, raw, options, this);
  }

  get target(): Target | undefined {
    return (this.seat ?? this.attempts?.seat)?.target;
  }

  // ---- what the session writes, and what it tells ----------------------------------------------------------

  toNode(bytes: Uint8Array, start: number, end: number): void {
    if (this.link >= 0) this.shell.wire.toNode(this.link, bytes, start, end);
  }

  toDevice(bytes: Uint8Array, start: number, end: number): void {
    if (this.seat === undefined) this.spoken = true;
    this.shell.wire.toDevice(bytes, start, end);
  }

  event(event: SessionEvent): void {
    this.events ??= [];
    this.events.push(event);
  }

  /** After every call of the session: what it told is done when it has returned. */
  private settle(): void {
    while (this.events !== undefined) {
      const { events } = this;
      this.events = undefined;
      for (const event of events) if (!this.isOver) this.on(event);
    }
    const holds = this.session.holdsDevice;
    if (holds === this.holds || this.isOver) return;
    this.holds = holds;
    this.shell.wire.holdDevice(holds);
  }

  private on(event: SessionEvent): void {
    switch (event.kind) {
      case 'accepted':
        this.seated();
        return this.shell.placed();
      case 'refused':
        return this.refused(event.code, event.packet);
      case 'resumed':
        return this.resumed(event.sessionPresent);
      case 'node-leaving':
        if (this.seat === undefined) return this.tryAnother('busy', `DISCONNECT ${hex(event.code)}`);
        return this.lost('node-leaving', 'goodbye', this.route.named(event.serverReference ?? ''));
      case 'taken-over':
        return this.end('taken-over');
      case 'node-ended':
        this.shell.because('node-closed');
        return this.shell.close('flush');
      case 'node-fault':
        return this.linkEnded(this.link, 'error');
      case 'device-left':
        if (!event.forwarded) this.leaving = true;
        else this.left();
        return;
      case 'end':
        if (event.why !== 'asked') this.shell.because(REASON_OF_END[event.why]);
        return this.shell.close('flush');
    }
  }

  // ---- finding a node --------------------------------------------------------------------------------------

  place(preferred: string | undefined): void {
    if (this.isOver) return;
    this.shell.world.claim(this.shell);
    this.search(preferred);
  }

  private search(preferred: string | undefined): void {
    const { shell, connect, route, move } = this;
    this.attempts = new Attempts(shell, route.place(connect, shell.peer, preferred), move?.from);
    this.tryNext();
  }

  private tryNext(): void {
    const { attempts, move, seat, shell } = this;
    const target = this.mayAskAgain ? attempts?.choose() : undefined;
    if (attempts === undefined || target === undefined) return this.exhausted();
    if (seat === undefined) attempts.dialIn(move === undefined ? 0 : shell.world.pace(target));
    else if (move?.wants(target)) attempts.dial();
    else this.exhausted();
  }

  /** What a node has begun to say to the device, no other node can go on with [MQTT-4.12.1-1] (rule 17). */
  private get mayAskAgain(): boolean {
    return this.move !== undefined || !this.spoken;
  }

  /** Every candidate has failed. */
  private exhausted(): void {
    const { shell, move, seat } = this;
    this.attempts?.giveUp();
    this.attempts = undefined;
    if (move === undefined) {
      const reply = refusalConnack(this.connect.protocolVersion, 'server-unavailable');
      return shell.refuse('no-node', reply, 'no-node');
    }
    if (seat !== undefined) return this.callOff(move);
    const wait = move.backoff(shell.world.now(), shell.world.random());
    if (wait !== undefined) return shell.wire.setTimer(wait);
    this.record(move, undefined, false);
    this.endWith(reasonCode.serverBusy, 'no-node');
  }

  linkOpened(link: Link): void {
    if (this.isOver) return this.purge?.opened();
    const { attempts } = this;
    if (attempts === undefined) return;
    if (this.seat !== undefined && !this.turnFrom(this.seat)) return;
    this.link = link;
    this.sendOn(link, this.session.connectPacket());
    attempts.opened();
  }

  linkFailed(_link: Link, errno: string): void {
    if (this.isOver) return this.purge?.failed();
    this.attempts?.dialFailed(errno);
    this.tryNext();
  }

  private sendOn(link: Link, packet: Uint8Array): void {
    this.shell.wire.toNode(link, packet, 0, packet.length);
  }

  private refused(code: number, packet: Uint8Array): void {
    if (isRetryable(this.connect.protocolVersion, code))
      return this.tryAnother('busy', `CONNACK ${hex(code)}`);
    if (this.move === undefined) return this.shell.refuse('node-refused', packet, 'connect-rejected');
    if (!this.unlink()) return;
    this.attempts?.giveUp(); // it speaks of the device, not of the node: another may say yes
    this.tryNext();
  }

  private tryAnother(failure: DialFailure, detail: string): void {
    if (!this.unlink()) return;
    this.attempts?.abandon(failure, detail);
    this.tryNext();
  }

  /** The link that is tried is the session's no longer. False when that was the end. */
  private unlink(): boolean {
    if (this.link !== this.attempts?.link) return true;
    this.link = -1;
    return this.detach();
  }

  private seated(): void {
    this.seat = this.attempts?.succeeded();
    this.attempts = undefined;
    this.vigil = new Vigil(this.session, this.shell.world.now());
    this.watch();
  }

  private resumed(sessionPresent: boolean): void {
    const { move, shell, session, oldLink } = this;
    this.move = undefined;
    this.seated();
    if (oldLink >= 0) {
      this.oldLink = -1;
      this.sendOn(oldLink, session.goodbye(!sessionPresent));
      shell.wire.endNode(oldLink, 'flush');
    }
    if (move !== undefined) this.record(move, this.seat?.target, sessionPresent);
  }

  private record(move: Move, to: Target | undefined, sessionPresent: boolean): void {
    const { world } = this.shell;
    const reattachment = move.ended(to, sessionPresent, world.now());
    this.history = [...this.history, reattachment].slice(-HISTORY);
    world.reattached(this.shell, reattachment);
  }

  // ---- bytes -----------------------------------------------------------------------------------------------

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    if (this.isOver) return;
    if (this.vigil !== undefined) this.vigil.deviceSpoke = true;
    this.session.fromDevice(bytes, start, end);
    this.settle();
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    if (this.isOver) return this.purge?.answered(bytes, start);
    if (link !== this.link) return; // an old node's late bytes reach nobody (rule 14)
    if (this.vigil !== undefined) this.vigil.heard++;
    this.session.fromNode(bytes, start, end);
    this.settle();
  }

  // ---- losing a node ---------------------------------------------------------------------------------------

  linkEnded(link: Link, cause: EndCause): void {
    const { seat, shell } = this;
    if (this.isOver) return this.purge?.giveUp();
    if (link === this.oldLink) {
      this.oldLink = -1;
      return shell.wire.endNode(link, 'reset');
    }
    if (link === this.attempts?.link) return this.tryAnother('closed-before-connack', cause);
    if (seat === undefined) return;
    shell.world.linkLost(seat.target, cause);
    this.lost('link-lost', 'reset');
  }

  /** The node is gone, hangs, or asks us to go: the session moves, at its turn. `to` is tried first. */
  private lost(cause: MoveCause, parting: Parting, to?: string): void {
    const { session, seat, shell } = this;
    if (seat === undefined) return;
    const stays = session.immovable;
    this.attempts?.giveUp(); // of a planned move
    this.leaveNode(seat, parting);
    if (!this.detach()) return;
    if (stays === 'enhanced-auth' || stays === 'too-much-state') {
      return this.endWith(reasonCode.serverShuttingDown, 'immovable'); // rule 17
    }
    if (isUnwelcome(this.history, shell.world.now())) {
      return this.endWith(reasonCode.unspecifiedError, 'node-closed');
    }
    this.move = this.startMove(cause, seat, undefined);
    this.search(to);
  }

  private leaveNode(seat: Seat, parting: Parting): void {
    this.part(this.link, parting);
    this.link = -1;
    seat.release();
    this.seat = undefined;
  }

  private part(link: Link, parting: Parting): void {
    // Nothing of ours may come into the middle of a packet.
    const how = parting === 'goodbye' && this.session.midPublish ? 'reset' : parting;
    if (how === 'goodbye') this.sendOn(link, this.session.goodbye(false));
    this.shell.wire.endNode(link, how === 'reset' ? 'reset' : 'flush');
  }

  /** False when that was the end: of a message that the device has in part, no other node has the rest. */
  private detach(): boolean {
    this.vigil = undefined;
    if (this.session.detached()) {
      this.settle();
    } else {
      this.shell.because('node-reset');
      this.shell.close('reset');
    }
    return !this.isOver;
  }

  private startMove(cause: MoveCause, { target }: Seat, to: string | undefined): Move {
    return new Move(cause, target.nodeId, to, this.shell.world.now(), this.route.moves.reattachDeadlineMs);
  }

  // ---- planned moves ---------------------------------------------------------------------------------------

  /** Moves the session to another node, or to that one and no other. */
  moveAway(cause: MoveCause, to?: string): MoveAnswer {
    const { connect, route, session, seat, shell } = this;
    if (this.isOver) return 'over';
    const stays = session.immovable;
    if (stays === 'enhanced-auth' || stays === 'too-much-state') return stays;
    if (seat === undefined || this.move !== undefined || !this.canGo) return 'later';
    const move = this.startMove(cause, seat, to);
    const attempts = new Attempts(shell, route.place(connect, shell.peer, to), move.from);
    const target = attempts.choose();
    if (target === undefined || to === move.from || !move.wants(target)) {
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

  /** Is neither side in the middle of a packet? */
  private get canGo(): boolean {
    return this.session.immovable === undefined && !this.session.midPublish;
  }

  /** The new node's link is open: from here on the old node is not listened to. False when the move is off. */
  private turnFrom(seat: Seat): boolean {
    if (!this.canGo) {
      this.exhausted();
      return false;
    }
    this.oldLink = this.link;
    this.link = -1;
    seat.release();
    this.seat = undefined;
    return this.detach();
  }

  /** The old node goes on serving. */
  private callOff(move: Move): void {
    this.move = undefined;
    this.record(move, undefined, false);
    this.watch();
  }

  // ---- watching --------------------------------------------------------------------------------------------

  private watch(): void {
    const { wire, world } = this.shell;
    if (this.vigil !== undefined) wire.setTimer(this.vigil.dueMs(world.now()));
  }

  /** A node that hangs is left within this time. */
  get silenceTimeoutMs(): number {
    return this.route.moves.silenceTimeoutMs;
  }

  /** Asks the node for a sign of life; `isSilent` wants to know the answer. Undefined while no node serves. */
  ask(): number | undefined {
    return this.vigil?.ask();
  }

  /** Has the node said nothing since? */
  isSilent(heardThen: number): boolean {
    return this.vigil?.isSilent(heardThen) ?? false;
  }

  /** The node may hang: unless it gives a sign of life in time, the session moves. */
  check(): void {
    if (this.vigil === undefined || this.move !== undefined) return;
    this.vigil.check(this.shell.world.now(), this.silenceTimeoutMs * PROOF);
    this.watch();
  }

  timer(): void {
    const { attempts, move, vigil, seat, shell } = this;
    if (attempts !== undefined) return this.searchTimer(attempts);
    if (move !== undefined) return this.search(undefined);
    switch (vigil?.look(shell.world.now())) {
      case 'alive':
        return this.watch();
      case 'device-gone':
        return this.endWith(reasonCode.keepAliveTimeout, 'keep-alive');
      case 'node-silent':
        if (seat !== undefined) shell.world.dialFailed(seat.target, 'silent', 'PINGREQ unanswered');
        return this.lost('node-silent', 'goodbye'); // when it goes on, no Will may fire (rule 13)
    }
  }

  private searchTimer(attempts: Attempts): void {
    if (attempts.link < 0) return attempts.dial(); // its turn has come
    if (!this.unlink()) return;
    attempts.timedOut();
    this.tryNext();
  }

  // ---- ends ------------------------------------------------------------------------------------------------

  /** A device that vanishes leaves its Will; one whose DISCONNECT still waits for a node has said goodbye. */
  deviceEnded(cause: EndCause): void {
    if (cause === 'fin' && this.leaving) return;
    const how = cause === 'fin' ? 'flush' : 'reset'; // both are abnormal to the node; a FIN loses nothing on the way
    this.parting = how;
    this.shell.close(how);
  }

  /** The device's DISCONNECT is on its way to the node. */
  private left(): void {
    this.leaving = false;
    this.parting = 'flush';
    this.shell.because('device-closed');
    this.shell.close('flush');
  }

  end(reason: EndReason): void {
    if (reason === 'shutdown' || reason === 'immovable') {
      // The device is alive and will be back: its Will must not fire because of us (rule 13).
      this.parting = 'goodbye';
      this.mayPurge = false;
      return this.endWith(reasonCode.serverShuttingDown, reason);
    }
    if (reason !== 'taken-over') return this.endWith(reasonCode.administrativeAction, reason);
    this.mayPurge = false; // what a node has under this client id is another connection's
    this.endWith(reasonCode.sessionTakenOver, reason);
  }

  /** Tells the device why, where its protocol has a word for it, and closes. */
  private endWith(code: ReasonCode, reason: EndReason): void {
    this.shell.because(reason);
    this.session.endDevice(code);
    this.settle();
    this.shell.close('flush');
  }

  leave(): void {
    if (this.isOver) return this.purge?.giveUp();
    this.isOver = true;
    this.vigil = undefined;
    const { attempts, link, oldLink, session, shell } = this;
    const parting = this.leaving ? 'goodbye' : this.parting;
    const holder = link >= 0 ? this.target : undefined;
    if (oldLink >= 0) this.part(oldLink, parting);
    if (link >= 0 && link === attempts?.link) {
      if (parting === 'goodbye') this.sendOn(link, session.goodbye(false));
      attempts.giveUp(parting === 'reset' ? 'reset' : 'flush');
    } else {
      if (link >= 0) this.part(link, parting);
      attempts?.giveUp();
    }
    this.seat?.release();
    if (session.mustPurge && this.mayPurge && holder !== undefined) {
      this.purge = new Purge(shell.wire, session, holder);
    }
  }

  closed(): void {
    this.isOver = true;
    this.attempts?.closed();
    this.seat?.release();
    this.session.wipe();
  }
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}
