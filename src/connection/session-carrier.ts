import { isRetryable } from '../mqtt/connack.ts';
import type { Connect } from '../mqtt/connect.ts';
import { type ReasonCode, reasonCode, refusalConnack } from '../mqtt/reason-codes.ts';
import { type EndWhy, type Immovable, Session, type SessionEvent } from '../session/index.ts';
import { Attempts } from './attempts.ts';
import type { Carrier, Shell } from './carrier.ts';
import type { HeldBytes } from './held-bytes.ts';
import { Move } from './move.ts';
import type { Seat } from './seat.ts';
import { Vigil } from './vigil.ts';
import type { EndCause, Link, Target } from './wire.ts';
import type { EndReason, MoveCause, PoolRoute, Reattachment } from './world.ts';

/** Re-attachments that `client inspect` shows. */
const HISTORY = 10;
/** For one node to drop a session that was to be clean. */
const PURGE_TIMEOUT_MS = 5_000;
/** Part of `silenceTimeout` in which a suspected node must answer; the rest is for the suspicion. */
const PROOF = 0.4;
const CONNACK = 0x20;

const REASON_OF_END: Readonly<Record<Exclude<EndWhy, 'asked'>, EndReason>> = {
  'device-protocol-error': 'protocol-error',
  'packet-too-large': 'protocol-error',
  'granted-less': 'granted-less',
  'promised-less': 'granted-less',
  'session-lost': 'session-lost',
  'too-much-held': 'session-lost',
};

/** What becomes of an order to move: `later` passes by itself. */
export type MoveAnswer = 'moving' | 'later' | 'no-node' | Immovable;

/**
 * Session mode: the session follows the packets, so that when its node is lost, leaves or is drained, another node
 * takes it while the device stays connected. Rules: `docs/session-mode.md`.
 *
 *   first node  dial ──► CONNECT ──► accepted ──► served
 *   node lost   served ──► detached ──► its turn ──► dial ──► CONNECT again ──► resumed ──► served
 *   planned     served ──► dial ──► detached ──► CONNECT again ──► resumed ──► goodbye at the old node ──► served
 */
export class SessionCarrier implements Carrier {
  readonly session: Session;
  /** The last re-attachments, newest last. */
  history: readonly Reattachment[] = [];

  private readonly shell: Shell;
  private readonly connect: Connect;
  private readonly route: PoolRoute;
  private attempts: Attempts | undefined;
  private seat: Seat | undefined;
  /** The link that the session speaks on. */
  private link: Link = -1;
  /** The link of a planned move's old node, until the new one has the session. */
  private oldLink: Link = -1;
  private move: Move | undefined;
  private vigil: Vigil | undefined;
  /** The next timer asks whether the node has answered PINGREQ. */
  private isChecking = false;
  private events: SessionEvent[] | undefined;
  private holds = false;
  /** The device sent DISCONNECT, which waits for the next node. */
  private leaving = false;
  /** How the node's link ends with the device: reset where the device vanished, so that its Will fires. */
  private nodeEnd: 'flush' | 'reset' = 'reset';
  private purgeLink: Link = -1;
  private isOver = false;

  constructor(shell: Shell, connect: Connect, route: PoolRoute, held: HeldBytes, connectEnd: number) {
    this.shell = shell;
    this.connect = connect;
    this.route = route;
    const { limits, sessionLimits, messages, random } = shell.world;
    const options = {
      ...sessionLimits,
      maxPacketBytes: limits.maxPacketBytes,
      clientId: `breakwater-${Math.floor(random() * 2 ** 48).toString(36)}`,
      takeoverFiresWill: route.moves.takeoverFiresWill,
      messages,
    };
    this.session = new Session(connect, held.bytes.subarray(0, connectEnd), options, this);
    if (held.length > connectEnd) this.deviceData(held.bytes, connectEnd, held.length);
  }

  get target(): Target | undefined {
    return (this.seat ?? this.attempts?.seat)?.target;
  }

  // ---- what the session writes -----------------------------------------------------------------------------

  toNode(bytes: Uint8Array, start: number, end: number): void {
    this.shell.wire.toNode(this.link, bytes, start, end);
  }

  toDevice(bytes: Uint8Array, start: number, end: number): void {
    this.shell.wire.toDevice(bytes, start, end);
  }

  event(event: SessionEvent): void {
    this.events ??= [];
    this.events.push(event);
  }

  /** After every call of the session: what it told is done when it has returned. */
  private settle(): void {
    for (let event = this.events?.shift(); event !== undefined; event = this.events?.shift()) {
      if (!this.isOver) this.on(event);
    }
    this.events = undefined;
    const holds = this.session.holdsDevice;
    if (holds === this.holds || this.isOver) return;
    this.holds = holds;
    this.shell.wire.holdDevice(holds);
  }

  // ---- finding a node --------------------------------------------------------------------------------------

  place(preferred: string | undefined): void {
    this.shell.world.claim(this.shell);
    this.search(preferred);
  }

  private search(preferred: string | undefined): void {
    const { shell, connect, route, move } = this;
    this.attempts = new Attempts(shell, route.place(connect, shell.peer, preferred), move?.from);
    this.dialNext();
  }

  private dialNext(): void {
    const { attempts, move, shell } = this;
    const target = attempts?.choose();
    if (attempts === undefined || target === undefined) return this.exhausted();
    const isPlanned = move !== undefined && this.seat !== undefined;
    if (isPlanned && move.to !== undefined && move.to !== target.nodeId) return this.exhausted();
    const wait = move === undefined || isPlanned ? 0 : shell.world.pace(target);
    if (wait > 0) shell.wire.setTimer(wait);
    else attempts.dial();
  }

  /** Every candidate has failed. */
  private exhausted(): void {
    const { shell, move } = this;
    this.attempts?.giveUp();
    this.attempts = undefined;
    if (move === undefined) {
      const reply = refusalConnack(this.connect.protocolVersion, 'server-unavailable');
      return shell.refuse('no-node', reply, 'no-node');
    }
    if (this.seat !== undefined) return this.moveFailed(move); // planned, and the old node still serves
    const wait = move.backoff(shell.world.now(), shell.world.random());
    if (wait !== undefined) return shell.wire.setTimer(wait);
    this.moveFailed(move);
    this.endWith(reasonCode.serverBusy, 'no-node');
  }

  private moveFailed(move: Move): void {
    this.move = undefined;
    this.record(move, undefined, false);
    if (this.seat !== undefined) this.watch();
  }

  linkOpened(link: Link): void {
    if (link === this.purgeLink) return this.sendOn(link, this.session.purgeConnect());
    const { attempts } = this;
    if (attempts === undefined) return;
    attempts.opened();
    if (this.seat !== undefined) {
      // A planned move: from here on the old node is not listened to, and the session goes on as if it was lost.
      this.seat.release();
      this.seat = undefined;
      this.oldLink = this.link;
      if (!this.detach()) return;
    }
    this.link = link;
    this.sendOn(link, this.session.connectPacket());
  }

  linkFailed(link: Link, errno: string): void {
    if (link === this.purgeLink) return this.purged();
    this.attempts?.dialFailed(errno);
    this.dialNext();
  }

  private sendOn(link: Link, packet: Uint8Array): void {
    this.shell.wire.toNode(link, packet, 0, packet.length);
  }

  // ---- bytes -----------------------------------------------------------------------------------------------

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    if (this.isOver) return;
    if (this.vigil !== undefined) this.vigil.deviceSpoke = true;
    this.session.fromDevice(bytes, start, end);
    this.settle();
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    if (link === this.purgeLink) return this.purgeAnswered(bytes, start);
    if (link !== this.link || this.isOver) return; // an old node's late bytes reach nobody (rule 14)
    this.session.fromNode(bytes, start, end);
    this.settle();
  }

  // ---- what the session tells ------------------------------------------------------------------------------

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
        return this.lost('node-leaving', this.route.named(event.serverReference ?? ''));
      case 'taken-over':
        return this.endWith(reasonCode.sessionTakenOver, 'taken-over');
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

  private seated(): void {
    this.seat = this.attempts?.succeeded();
    this.attempts = undefined;
    this.watch();
  }

  private refused(code: number, packet: Uint8Array): void {
    const { attempts, shell, move } = this;
    if (attempts === undefined) return;
    if (isRetryable(this.connect.protocolVersion, code)) {
      attempts.abandon('busy', `CONNACK 0x${code.toString(16).padStart(2, '0')}`);
      return this.dialNext();
    }
    if (move === undefined) return shell.refuse('node-refused', packet, 'connect-rejected');
    attempts.giveUp(); // it speaks of the device, not of the node: another may say yes
    this.dialNext();
  }

  private resumed(sessionPresent: boolean): void {
    const { move, shell, session } = this;
    this.seated();
    this.move = undefined;
    if (this.oldLink >= 0) {
      this.sendOn(this.oldLink, session.goodbye(!sessionPresent));
      shell.wire.endNode(this.oldLink, 'flush');
      this.oldLink = -1;
    }
    if (move !== undefined) this.record(move, this.seat?.target, sessionPresent);
  }

  private record({ cause, from, startedAtMs }: Move, to: Target | undefined, sessionPresent: boolean): void {
    const { world } = this.shell;
    const atMs = world.now();
    const durationMs = atMs - startedAtMs;
    const reattachment: Reattachment = { cause, from, to: to?.nodeId, durationMs, atMs, sessionPresent };
    this.history = [...this.history, reattachment].slice(-HISTORY);
    world.reattached(this.shell, reattachment);
  }

  // ---- losing a node ---------------------------------------------------------------------------------------

  linkEnded(link: Link, cause: EndCause): void {
    const { attempts, shell } = this;
    if (link === this.purgeLink) return this.purged();
    if (link === this.oldLink) {
      this.oldLink = -1;
      return shell.wire.endNode(link, 'reset');
    }
    if (attempts !== undefined && link === attempts.link) {
      if (!this.detach()) return;
      attempts.abandon('closed-before-connack', cause);
      return this.dialNext();
    }
    if (link !== this.link || this.seat === undefined) return;
    shell.world.linkLost(this.seat.target, cause);
    this.lost('link-lost');
  }

  /** The node is gone, hangs, or asks us to go: the session moves, at its turn. `to` is tried first. */
  private lost(cause: MoveCause, to?: string): void {
    const { session, shell, seat, attempts } = this;
    const from = seat?.target.nodeId ?? '';
    const stays = session.immovable;
    attempts?.giveUp();
    seat?.release();
    this.seat = undefined;
    if (this.link >= 0) shell.wire.endNode(this.link, 'reset');
    this.link = -1;
    if (!this.detach()) return;
    if (stays === 'enhanced-auth' || stays === 'too-much-state') {
      return this.endWith(reasonCode.serverShuttingDown, 'immovable'); // rule 17
    }
    this.move = this.startMove(cause, from, undefined);
    this.search(to);
  }

  /** False when the device has part of a message that no other node can complete: then it is reset. */
  private detach(): boolean {
    this.vigil = undefined;
    this.isChecking = false;
    const whole = this.session.detached();
    if (!whole) {
      this.shell.because('node-reset');
      this.shell.close('reset');
      return false;
    }
    this.settle();
    return !this.isOver;
  }

  private startMove(cause: MoveCause, from: string, to: string | undefined): Move {
    return new Move(cause, from, to, this.shell.world.now(), this.route.moves.reattachDeadlineMs);
  }

  // ---- planned moves ---------------------------------------------------------------------------------------

  /** Moves the session to another node, or to that one and no other. */
  moveAway(cause: MoveCause, to?: string): MoveAnswer {
    const { session, seat, shell } = this;
    if (this.isOver) return 'over';
    if (seat === undefined || this.move !== undefined || session.midPublish || this.leaving) return 'later';
    const stays = session.immovable;
    if (stays !== undefined) return stays === 'mid-delivery' || stays === 'connecting' ? 'later' : stays;
    if (to === seat.target.nodeId) return 'no-node';
    this.move = this.startMove(cause, seat.target.nodeId, to);
    if (session.leavesFirst) {
      this.sendOn(this.link, session.goodbye(false));
      shell.wire.endNode(this.link, 'flush');
      this.link = -1;
      seat.release();
      this.seat = undefined;
      if (!this.detach()) return 'over';
    }
    this.search(to);
    return this.move === undefined ? 'no-node' : 'moving';
  }

  /** A node that hangs is left within this time. */
  get silenceTimeoutMs(): number {
    return this.route.moves.silenceTimeoutMs;
  }

  // ---- watching --------------------------------------------------------------------------------------------

  private watch(): void {
    this.isChecking = false;
    this.vigil = new Vigil(this.session, this.shell.world.now());
    this.shell.wire.setTimer(this.vigil.intervalMs);
  }

  private untilLook({ dueAtMs }: Vigil): void {
    this.shell.wire.setTimer(Math.max(1, dueAtMs - this.shell.world.now()));
  }

  /** The node may hang: unless it answers PINGREQ in time, the session moves. */
  check(): void {
    if (this.seat === undefined || this.move !== undefined || this.isChecking) return;
    this.session.pingNode();
    this.isChecking = true;
    this.shell.wire.setTimer(this.route.moves.silenceTimeoutMs * PROOF);
  }

  timer(): void {
    const { attempts, move, vigil } = this;
    if (this.purgeLink >= 0) return this.purged();
    if (attempts !== undefined) return this.searchTimer(attempts);
    if (move !== undefined) return this.search(undefined);
    if (this.isChecking) {
      this.isChecking = false;
      if (this.session.pingUnanswered) return this.silent();
      if (vigil !== undefined) this.untilLook(vigil);
      return;
    }
    if (vigil === undefined) return;
    const verdict = vigil.look();
    if (verdict === 'node-silent') return this.silent();
    if (verdict === 'device-gone') return this.endWith(reasonCode.keepAliveTimeout, 'keep-alive');
    this.untilLook(vigil);
  }

  private silent(): void {
    if (this.seat !== undefined)
      this.shell.world.dialFailed(this.seat.target, 'silent', 'PINGREQ unanswered');
    this.lost('node-silent');
  }

  private searchTimer(attempts: Attempts): void {
    if (attempts.link < 0) return attempts.dial(); // its turn has come
    if (this.link === attempts.link && !this.detach()) return;
    attempts.timedOut();
    this.dialNext();
  }

  // ---- ends ------------------------------------------------------------------------------------------------

  /** A device that vanishes leaves its Will; one whose DISCONNECT still waits for a node has said goodbye. */
  deviceEnded(cause: EndCause): void {
    if (cause === 'fin' && this.leaving) return;
    this.nodeEnd = cause === 'fin' ? 'flush' : 'reset'; // both are abnormal to the node; a FIN loses nothing on the way
    this.shell.close('reset');
  }

  /** The device's DISCONNECT is on its way to the node. */
  private left(): void {
    this.nodeEnd = 'flush';
    this.shell.because('device-closed');
    this.shell.close('flush');
  }

  end(reason: EndReason): void {
    if (reason === 'shutdown' && this.link >= 0 && this.seat !== undefined) {
      // The device is alive and will be back: its Will must not fire because of us (rule 13).
      this.sendOn(this.link, this.session.goodbye(false));
      this.nodeEnd = 'flush';
      return this.endWith(reasonCode.serverShuttingDown, reason);
    }
    const code = reason === 'taken-over' ? reasonCode.sessionTakenOver : reasonCode.administrativeAction;
    this.endWith(code, reason);
  }

  /** Tells the device why, where its protocol has a word for it, and closes. */
  private endWith(code: ReasonCode, reason: EndReason): void {
    this.shell.because(reason);
    this.session.endDevice(code);
    this.settle();
    this.shell.close('flush');
  }

  leave(): void {
    const { wire } = this.shell;
    if (this.purgeLink >= 0) return this.purged();
    if (this.isOver) return;
    this.isOver = true;
    this.vigil = undefined;
    const target = this.seat?.target;
    if (this.link >= 0 && this.link !== this.attempts?.link) wire.endNode(this.link, this.nodeEnd);
    if (this.oldLink >= 0) wire.endNode(this.oldLink, 'reset');
    this.attempts?.giveUp();
    this.seat?.release();
    if (!this.session.mustPurge || target === undefined) return;
    this.purgeLink = wire.dial(target);
    wire.setTimer(PURGE_TIMEOUT_MS);
  }

  /** A node was asked to keep a session that was to be clean; now that the device has gone, it drops it (rule 2). */
  private purgeAnswered(bytes: Uint8Array, start: number): void {
    if (bytes[start] !== CONNACK) return this.purged();
    this.sendOn(this.purgeLink, this.session.goodbye(true));
    this.shell.wire.endNode(this.purgeLink, 'flush');
    this.purgeLink = -1;
  }

  private purged(): void {
    this.shell.wire.endNode(this.purgeLink, 'reset');
    this.purgeLink = -1;
  }

  closed(): void {
    this.session.wipe();
  }
}
