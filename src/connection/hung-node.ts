import type { Connect } from '../protocol/mqtt/connect.ts';
import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import type { Session } from '../session/index.ts';
import type { Attachment } from './attachment.ts';
import type { ConnectAttempts, Overdue } from './connect-attempts.ts';
import type { MovePolicy, Placement, PoolRoute } from './connection-host.ts';
import type { Asker, Evidence } from './evidence.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { Move, Moves } from './migration.ts';
import { Silence, type SilenceOwner } from './silence.ts';
import type { UpstreamHost } from './upstream-host.ts';
import type { Link, Target } from './wire.ts';

/** What this object needs of the upstream. */
export interface HangHost {
  readonly connection: ForwarderHost;
  readonly connect: Connect;
  readonly route: PoolRoute;
  readonly owner: UpstreamHost;
  readonly at: Attachment;
  needMoves(): Moves;
  /** The session has no link: it moves, and `attempts` has asked a node for it already. */
  goOn(move: Move, attempts: ConnectAttempts): void;
  /** The node that was asked is given up. */
  attemptOver(why: Overdue): void;
  /** The same, but no node was asked yet. */
  moveOn(move: Move): void;
}

/**
 * Handles a session whose node hangs. While `Silence` asks other nodes for the session, the link is kept, what the
 * device sends waits, and what the node sends all the same is passed on. It also remembers the CONNECTs whose
 * effects may show only later.
 */
export class HungNode implements SilenceOwner {
  private readonly host: HangHost;
  private silence: Silence | undefined;
  /** Asks whether the node that is silent to this session is so to everybody. */
  private doubt: Asker | undefined;
  /** When `Silence.timer` is to be called, on the host's clock. */
  private dueAtMs = NEVER;
  /** CONNECTs of ours that were given up, and may still take the session from the node that serves: until when. */
  private strayUntilMs: readonly number[] = [];

  constructor(host: HangHost) {
    this.host = host;
  }

  /** Is its session asked for elsewhere? */
  get isSilent(): boolean {
    return this.silence !== undefined;
  }

  /**
   * The node that serves does not answer. That alone shows nothing: brokers let single devices wait, where they limit their rates or are
   * behind with what those have sent (decision 9). So a node that answers a probe of ours is waited for.
   */
  hangs(): void {
    const { connection, at } = this.host;
    const target = at.permit?.target;
    if (this.silence !== undefined) return this.silence.nodeHangs();
    if (target === undefined || this.doubt !== undefined) return;
    const { attachedAtMs } = at;
    this.doubt = {
      target,
      attachedAtMs,
      judged: (evidence) => connection.wire.guard(() => this.judged(evidence)),
    };
    const evidence = connection.host.evidence(this.doubt);
    if (evidence !== undefined) this.judged(evidence);
  }

  /** The node has not spoken meanwhile. */
  private judged(evidence: Evidence | undefined): void {
    const { doubt } = this;
    this.doubt = undefined;
    if (doubt !== undefined && evidence !== undefined) this.isHung(doubt.target);
  }

  /** It lives, or the question is another one by now. */
  private trust(): void {
    if (this.doubt !== undefined) this.connection.host.forget(this.doubt);
    this.doubt = undefined;
  }

  /** Where nothing can be done, the device waits for it, as it would without us. */
  private isHung(target: Target): void {
    const { connection, owner } = this.host;
    connection.host.dialFailed(target, 'silent', 'PINGREQ unanswered');
    if (connection.isSuperseded) return owner.takenOver(true); // rule 14
    if (owner.session.immovable !== undefined) return;
    this.silence = new Silence(this, this.host.needMoves().start({ cause: 'node-silent', origin: target }));
    owner.session.withhold();
    owner.drainEvents();
    this.silence?.search();
  }

  /** Is it asked whether the node hangs? */
  get isDoubting(): boolean {
    return this.doubt !== undefined;
  }

  /** It has said something. */
  spoke(): void {
    this.trust();
    this.silence?.nodeSpoke();
  }

  /** How long until `timer` is to be called, in ms. */
  get dueMs(): number {
    return Math.max(1, Math.ceil(this.dueAtMs - this.connection.host.now()));
  }

  /** The time at which it must be called; an earlier call does no harm. */
  timer(): void {
    if (this.connection.host.now() < this.dueAtMs) return;
    this.dueAtMs = NEVER;
    this.silence?.timer();
  }

  /** CONNECTs were given up that their nodes may still act on, within so many ms. */
  strays(count: number, ms: number): void {
    const untilMs = this.host.connection.host.now() + ms;
    const strays = [...this.strayUntilMs, ...Array.from({ length: count }, () => untilMs)];
    this.strayUntilMs = strays.slice(-MAX_STRAYS);
  }

  /** For another process: how long each of these CONNECTs may still do so, in ms. */
  describe(nowMs: number): number[] {
    return this.strayUntilMs.map((untilMs) => untilMs - nowMs).filter((ms) => ms > 0);
  }

  /** Goes on where another process was. */
  revive(straysMs: readonly number[], nowMs: number): void {
    this.strayUntilMs = straysMs.map((ms) => nowMs + ms);
  }

  /** Does one of these CONNECTs explain that the session was taken? */
  private explainedByStray(): boolean {
    const nowMs = this.host.connection.host.now();
    const strays = this.strayUntilMs.filter((untilMs) => nowMs < untilMs);
    this.strayUntilMs = strays.slice(1);
    return strays.length > 0;
  }

  // ---- the link of another node, while it is asked; false when the link is none of it

  opened(link: Link): boolean {
    const { silence } = this;
    if (!silence?.owns(link)) return false;
    silence.opened(link);
    return true;
  }

  failed(link: Link, reason: string): boolean {
    const { silence } = this;
    if (!silence?.owns(link)) return false;
    silence.failed(reason);
    return true;
  }

  ended(link: Link): boolean {
    const { silence } = this;
    if (!silence?.owns(link)) return false;
    silence.ended();
    return true;
  }

  heard(link: Link, bytes: Uint8Array, start: number, end: number): boolean {
    const { silence } = this;
    if (!silence?.owns(link)) return false;
    silence.heard(bytes, start, end);
    return true;
  }

  // ---- of `Silence`

  get connection(): ForwarderHost {
    return this.host.connection;
  }

  get session(): Session {
    return this.host.owner.session;
  }

  get version(): ProtocolVersion {
    return this.host.connect.protocolVersion;
  }

  get policy(): MovePolicy {
    return this.host.route.moves;
  }

  place(): Placement {
    const { route, connect, connection } = this.host;
    return route.place(connect, connection.peer, undefined);
  }

  /**
   * While the node serves, this timer also covers its silence and that of the device. During a search the timer
   * belongs to the search.
   */
  alarm(ms: number): void {
    if (this.silence === undefined) return this.connection.wire.setTimer(ms);
    this.dueAtMs = ms === 0 ? NEVER : this.connection.host.now() + ms;
    this.host.owner.rewatch();
  }

  attemptGone(): void {
    (this.silence ?? this.host).attemptOver('connack-timeout');
  }

  takenElsewhere(attempts: ConnectAttempts, bytes: Uint8Array, start: number, end: number): void {
    const move = this.silence?.move;
    this.end();
    if (move !== undefined && this.host.at.leaveBehind()) this.takeUp(move, attempts, bytes, start, end);
    else attempts.withdraw();
  }

  private takeUp(move: Move, attempts: ConnectAttempts, bytes: Uint8Array, start: number, end: number): void {
    const { owner } = this.host;
    owner.session.turn();
    this.host.goOn(move, attempts);
    owner.session.fromNode(bytes, start, end);
    owner.drainEvents();
  }

  serves(does: boolean): void {
    const { owner, at } = this.host;
    if (does) owner.session.release();
    else owner.session.withhold();
    owner.drainEvents();
    if (does && !at.isOver) owner.served();
  }

  backAgain(): void {
    this.end();
    this.serves(true);
  }

  silentForTooLong(): void {
    const { silence, host } = this;
    if (silence !== undefined) host.needMoves().ended(silence.move, undefined, false);
    host.owner.end('no-node');
  }

  // ---- the end of its link

  /**
   * The session was taken from the node that serves, or its link has ended. True when a CONNECT of ours has done that, as
   * far as anybody can know: then it is followed (rule 14).
   */
  follows(): boolean {
    const { silence, connection } = this;
    if (connection.isTakenOver) return false; // by a newer connection
    if (silence?.hasAsked) this.followAttempt(silence);
    else if (this.explainedByStray()) this.followStray();
    else return false;
    return true;
  }

  private followAttempt(silence: Silence): void {
    const { host } = this;
    const waiting = silence.handOver();
    this.end();
    host.at.leaveLink('reset');
    if (!host.at.detach()) return waiting?.attempts.withdraw();
    if (waiting === undefined) return host.moveOn(silence.move);
    const { attempts, answer } = waiting;
    if (answer !== undefined) host.owner.session.trust();
    this.takeUp(silence.move, attempts, answer?.bytes ?? NOTHING, 0, answer?.length ?? 0);
  }

  private followStray(): void {
    const { host } = this;
    const origin = host.at.permit?.target;
    if (origin === undefined) return host.attemptOver('connack-timeout'); // it is asked, and has not all of the session yet
    host.at.leaveLink('reset');
    if (!host.at.detach()) return;
    host.moveOn(host.needMoves().start({ cause: 'link-lost', origin, evidence: 'own-connect' }));
  }

  /** The device has gone, or the node that serves has ended the session: no other node is asked for it any longer. */
  leave(): void {
    this.trust();
    this.silence?.leave();
    this.end();
  }

  private end(): void {
    const { givenUp } = this.silence ?? { givenUp: 0 };
    if (givenUp > 0) this.strays(givenUp, this.policy.reattachConnackDeadlineMs);
    this.silence = undefined;
    this.dueAtMs = NEVER;
  }

  /** Every socket is closed. */
  closed(): void {
    this.trust();
    this.silence?.closed();
  }
}

const NOTHING = new Uint8Array(0);
const MAX_STRAYS = 8;
const NEVER = Number.POSITIVE_INFINITY;
