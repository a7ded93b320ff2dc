import { GrowableBuffer } from '../base/growable-buffer.ts';
import { type ConnackPeek, isCrowded, isLocked, peekConnack } from '../protocol/mqtt/connack.ts';
import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import { keepAliveMs, type Session } from '../session/index.ts';
import { ConnectAttempts, type Overdue, type Seeker } from './connect-attempts.ts';
import type { MovePolicy, Placement } from './connection-host.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { Move } from './migration.ts';
import { Scouting } from './scouting.ts';
import type { Link } from './wire.ts';

/** The wait for a node that has shown no session a sign of having come back. */
const LAST_WORD_MS = 200;
/**
 * Where another node took at least so long to get the session, the silent node itself has come back and given it
 * away.
 */
const LONG_MS = 1_000;
/** How often a session is asked for that a node may have begun to give away. */
const MAX_FETCHES = 3;
const NEVER = Number.POSITIVE_INFINITY;
/** Bytes of the new node that are kept meanwhile. */
const MAX_ANSWER_BYTES = 65_536;

/** Whose node is silent. */
export interface SilenceOwner {
  readonly connection: ForwarderHost;
  readonly session: Session;
  readonly version: ProtocolVersion;
  readonly policy: MovePolicy;
  /** The search is still this one's: not the session's, because the link to its node has ended. */
  readonly isSilent: boolean;
  /** The timer for `Silence.timer`, in ms; 0 clears it. */
  alarm(ms: number): void;
  /** Other nodes, best first. */
  place(): Placement;
  /** Another node has the session: `attempts` has its place and its link, where these bytes came, CONNACK first. */
  takenElsewhere(attempts: ConnectAttempts, bytes: Uint8Array, start: number, end: number): void;
  /** The node that `attempts` tries is gone; the search may be the session's by now. */
  attemptGone(): void;
  /** The node that was silent speaks, and still has the session: what has waited goes to it, or waits again. */
  serves(does: boolean): void;
  /** It serves, and nobody else is asked any more. */
  backAgain(): void;
  /** Neither this node nor another one has answered in all this time. */
  silentForTooLong(): void;
}

/**
 *   silent    the node says nothing, and others are asked
 *   fetching  it speaks again, and what it may have begun to give away is fetched: what the device sends still waits
 *   parked    it serves, and the answer to a CONNECT that is under way is waited for all the same
 */
type Mode = 'silent' | 'fetching' | 'parked';

/**
 * The node that has the session says nothing, and its link is up: it hangs, and may go on at any moment. Make before break
 * (decision 11): other nodes are asked for the session, one at a time, and the link is kept until one has accepted.
 *
 *   asking ──CONNACK 0──► last words ──► taken elsewhere        the node speaks ─► had any been asked? ─no─► back again
 *     ▲ └──CONNACK no, end, deadline──► waiting                   └yes─► fetching ──a moment──► parked ──► back again
 *     └─────────────────────────────────┘                                └──CONNACK 0──► taken elsewhere ◄──┘
 *
 * A node that goes on does what was asked of it while it was stopped. Where a cluster shares sessions it may have begun to
 * give this one away, to a connect that has been given up since; then it delivers nothing to its device any more. So a
 * session that was asked for is fetched whole if it will come, and stays otherwise.
 */
export class Silence {
  readonly move: Move;
  /** CONNECTs that were given up without any answer. */
  givenUp = 0;
  private readonly owner: SilenceOwner;
  private readonly seeker: Seeker;
  private readonly endsAtMs: number;
  private mode: Mode = 'silent';
  private attempts: ConnectAttempts | undefined;
  /** Of the node that is asked; nearly always its CONNACK comes whole. */
  private answer: GrowableBuffer | undefined;
  /** It has the session; the last words of the node before are waited for. */
  private isTaken = false;
  private takenAtMs = 0;
  /** By then the node had not answered: what it has said since shows that it goes on. */
  private silentSinceMs = 0;
  /** CONNECTs that no node has refused. */
  private asked = 0;
  private fetches = 0;
  private readonly scouting: Scouting;
  /** With a cluster whose nodes live. */
  private patienceMs = 0;
  /** When `fetching` ends; on the host's clock. */
  private parksAtMs = NEVER;
  /** By one of the nodes of this search. */
  private wasRefused = false;

  constructor(owner: SilenceOwner, move: Move) {
    this.owner = owner;
    this.move = move;
    const { wire, host } = owner.connection;
    this.seeker = {
      host,
      wire: {
        dial: (target, greets) => wire.dial(target, greets),
        toNode: (link, bytes, start, end) => wire.toNode(link, bytes, start, end),
        endNode: (link, how, closed) => wire.endNode(link, how, closed),
        guard: (run) => wire.guard(run),
        setTimer: (ms) => owner.alarm(Math.max(1, Math.min(ms, this.parksAtMs - host.now()))),
      },
    };
    this.scouting = new Scouting(owner, move.origin);
    this.endsAtMs = host.now() + owner.policy.silenceDeadlineMs;
    this.fallsSilent();
  }

  /** The node has not answered for `silenceTimeoutMs`, or a part of that. */
  private fallsSilent(): void {
    this.silentSinceMs = this.owner.connection.host.now() - this.owner.policy.silenceTimeoutMs;
  }

  /** May a cluster have begun to give the session to a node that was asked? */
  get hasAsked(): boolean {
    return this.asked > 0;
  }

  /** Is a node asked for the session now, and not for a newcomer? */
  private get isAskedFor(): boolean {
    return !this.scouting.isProbing && (this.attempts?.isAsking ?? false);
  }

  /** Is it the link of the node that is asked? */
  owns(link: Link): boolean {
    return this.attempts !== undefined && this.attempts.link === link;
  }

  search(): void {
    const { session, policy } = this.owner;
    if (this.scouting.isHeldBack(this.silentSinceMs, this.endsAtMs)) return this.rest(this.backoffMs());
    this.wasRefused = false;
    const placement = this.owner.place();
    this.patienceMs = placement.retryPolicy.connackTimeoutMs;
    this.attempts = new ConnectAttempts(this.seeker, placement, {
      never: this.move.from,
      connackDeadlineMs: policy.reattachConnackDeadlineMs,
      turns: this.owner.connection.host.turns.hung,
      turnDeadlineMs: policy.reattachDeadlineMs,
      waits: () => this.owner.isSilent,
      goodbye: () => session.goodbye(this.scouting.isProbing),
      gone: () => this.owner.attemptGone(),
    });
    this.tryNext();
  }

  private tryNext(): void {
    const { attempts } = this;
    const target = attempts?.choose();
    if (attempts === undefined || target === undefined)
      return this.rest(this.wasRefused ? this.lockedMs : this.backoffMs());
    attempts.dialAtTurn();
  }

  private backoffMs(): number {
    return this.move.backoffMs(this.owner.connection.host.random());
  }

  /** Other nodes are not asked for so long, in ms. */
  private rest(ms: number): void {
    const { owner, endsAtMs } = this;
    this.attempts?.giveUp();
    this.attempts = undefined;
    this.answer = undefined;
    if (this.mode !== 'silent') return this.fetchAgain();
    const leftMs = endsAtMs - owner.connection.host.now();
    if (leftMs <= 0) return owner.silentForTooLong();
    owner.alarm(Math.min(ms, leftMs));
  }

  timer(): void {
    const { attempts, owner } = this;
    const nowMs = owner.connection.host.now();
    if (attempts === undefined) {
      if (this.mode === 'silent' && nowMs >= this.endsAtMs) return owner.silentForTooLong();
      return this.search();
    }
    if (this.isTaken) return this.lastWordsOver(nowMs);
    if (nowMs >= this.parksAtMs) return this.park(attempts);
    const why = attempts.due();
    if (why !== undefined) this.attemptOver(why);
  }

  attemptOver(why: Overdue): void {
    const wasParked = this.mode === 'parked';
    const hangs = this.attempts?.isUnanswered ?? false;
    if (this.isAskedFor) this.givenUp++;
    this.attempts?.fail(why);
    if (why !== 'slow') return this.tryNext();
    if (wasParked) this.owner.backAgain();
    else this.rest(hangs ? this.backoffMs() : this.lockedMs);
  }

  /**
   * A living node that has been asked for a session, and has not answered, holds it locked for all others, perhaps for as
   * long again as its answer was waited for; and EMQX 5.3 publishes the Will of the live device at each connect that is
   * refused. The lock of a node that is gone is gone too.
   */
  private get lockedMs(): number {
    return this.owner.policy.reattachConnackDeadlineMs;
  }

  // ---- the node that is asked ------------------------------------------------------------------------------

  opened(link: Link): void {
    const packet = this.scouting.connect();
    if (!this.scouting.isProbing) this.asked++;
    this.owner.connection.wire.toNode(link, packet, 0, packet.length);
    this.attempts?.opened();
  }

  failed(reason: string): void {
    this.attempts?.dialFailed(reason);
    this.tryNext();
  }

  /**
   * A node of a cluster may close the connection because of what another one does: that is not the fault of the
   * node that closes it.
   */
  ended(): void {
    const wasLong = this.isLong;
    if (this.scouting.isProbing && this.attempts !== undefined) return this.probed(this.attempts, true);
    this.attempts?.giveUp();
    this.isTaken = false;
    this.answer = undefined;
    if (wasLong || this.mode !== 'silent') this.rest(this.backoffMs());
    else this.tryNext();
  }

  private get isLong(): boolean {
    return (this.attempts?.waitedMs ?? 0) >= LONG_MS;
  }

  heard(bytes: Uint8Array, start: number, end: number): void {
    const { attempts, answer } = this;
    if (attempts === undefined) return;
    if (answer === undefined) return this.judge(attempts, bytes, start, end);
    answer.append(bytes, start, end);
    if (!this.isTaken) this.judge(attempts, answer.bytes, 0, answer.length);
    else if (answer.length > MAX_ANSWER_BYTES) this.taken();
  }

  private judge(attempts: ConnectAttempts, bytes: Uint8Array, start: number, end: number): void {
    const peek = peekConnack(bytes, start, end);
    if (peek.kind === 'incomplete') {
      if (this.answer !== undefined) return;
      this.answer = new GrowableBuffer();
      return this.answer.append(bytes, start, end);
    }
    if (this.scouting.isProbing) return this.probed(attempts, false);
    if (peek.kind !== 'connack' || peek.code !== 0) return this.refused(attempts, peek);
    if (peek.sessionPresent) return this.listenToTheLast(bytes, start, end);
    if (this.mode === 'silent') return this.takenElsewhere(attempts, bytes, start, end);
    // The node that speaks again has more of the session than one that does not know it.
    this.owner.session.refused();
    attempts.withdraw();
    this.owner.backAgain();
  }

  /**
   * A node that gave its session away acknowledges what it had taken in before, and closes its link. That is waited for,
   * because what it does not acknowledge is sent again. Where the session took long to come, or the node has spoken to
   * other sessions, it has just come back, and may be busy with all that waited.
   */
  private listenToTheLast(bytes: Uint8Array, start: number, end: number): void {
    this.isTaken = true;
    this.takenAtMs = this.owner.connection.host.now();
    if (this.mode === 'parked') this.owner.serves(false);
    if (this.answer === undefined) {
      this.answer = new GrowableBuffer();
      this.answer.append(bytes, start, end);
    }
    const isBack = this.mode !== 'silent' || this.isLong || this.othersHear;
    this.owner.alarm(isBack ? this.lastWordsMs : Math.min(LAST_WORD_MS, this.lastWordsMs));
  }

  /** The node that has accepted hears nothing meanwhile, and must not take the device for dead (rule 13). */
  private get lastWordsMs(): number {
    return Math.min(this.patienceMs, keepAliveMs(this.owner.session.nodeKeepAlive));
  }

  private get othersHear(): boolean {
    return this.owner.connection.host.hasSpoken(this.move.origin, this.silentSinceMs);
  }

  private lastWordsOver(nowMs: number): void {
    const leftMs = this.takenAtMs + this.lastWordsMs - nowMs;
    if (leftMs <= 0 || !this.othersHear) return this.taken();
    this.owner.alarm(leftMs);
  }

  private taken(): void {
    const { attempts, answer } = this;
    if (attempts && answer) this.takenElsewhere(attempts, answer.bytes, 0, answer.length);
  }

  private takenElsewhere(attempts: ConnectAttempts, bytes: Uint8Array, start: number, end: number): void {
    if (this.isAtOnce(LONG_MS + LAST_WORD_MS)) this.scouting.hadAtOnce();
    this.owner.takenElsewhere(attempts, bytes, start, end);
  }

  private isAtOnce(mostMs: number): boolean {
    return this.mode === 'silent' && (this.attempts?.waitedMs ?? 0) < mostMs && !this.othersHear;
  }

  /** A newcomer was answered, or turned away. At once, it says that nobody was waited for. */
  private probed(attempts: ConnectAttempts, hasEnded: boolean): void {
    const wasAtOnce = this.isAtOnce(LONG_MS);
    if (hasEnded) attempts.giveUp();
    else attempts.withdraw();
    this.scouting.probed(wasAtOnce);
    this.attempts = undefined;
    this.answer = undefined;
    this.search();
  }

  private refused(attempts: ConnectAttempts, peek: ConnackPeek): void {
    const { session, version } = this.owner;
    this.answer = undefined;
    const code = peek.kind === 'connack' ? peek.code : undefined;
    session.refused();
    this.asked--;
    if (code === undefined) attempts.ended('error');
    else attempts.declined(isCrowded(version, code)); // its answer decides only later: the device has its session
    this.wasRefused = true;
    if (code !== undefined && isLocked(version, code)) this.rest(this.lockedMs);
    else this.tryNext();
  }

  // ---- the node that was silent ----------------------------------------------------------------------------

  nodeSpoke(): void {
    if (this.mode !== 'silent') return;
    this.owner.connection.host.nodeSpoke(this.move.origin);
    this.mode = 'fetching';
    if (this.isTaken) return this.owner.alarm(this.lastWordsMs);
    if (!this.isAskedFor) return this.rest(0);
    this.parksAtMs = this.owner.connection.host.now() + this.patienceMs;
    this.attempts?.lookAgain();
  }

  /** It has spoken, and is silent again. */
  nodeHangs(): void {
    if (this.mode === 'silent' || this.isTaken) return;
    if (this.mode === 'parked') this.owner.serves(false);
    this.mode = 'silent';
    this.fallsSilent();
    this.parksAtMs = NEVER;
  }

  /** The device has waited long enough for a session that its node may never have given away. */
  private park(attempts: ConnectAttempts): void {
    this.parksAtMs = NEVER;
    if (!attempts.isAsking) return this.rest(0);
    this.mode = 'parked';
    attempts.lookAgain();
    this.owner.serves(true);
  }

  /** No node is asked now, and the one that was silent speaks. */
  private fetchAgain(): void {
    this.parksAtMs = NEVER;
    if (!this.hasAsked || this.fetches++ >= MAX_FETCHES) return this.owner.backAgain();
    if (this.mode === 'parked') this.owner.serves(false);
    this.mode = 'fetching';
    const pauseMs = this.backoffMs();
    this.parksAtMs = this.owner.connection.host.now() + pauseMs + this.patienceMs;
    this.owner.alarm(pauseMs);
  }

  /** Its link has ended: the attempt that waits for an answer, and what has come of that; undefined if there is none. */
  handOver():
    | { readonly attempts: ConnectAttempts; readonly answer: GrowableBuffer | undefined }
    | undefined {
    const { attempts, answer } = this;
    if (attempts !== undefined && this.isAskedFor) return { attempts, answer };
    attempts?.giveUp();
    return undefined;
  }

  /** Every socket is closed. */
  closed(): void {
    this.attempts?.closed();
  }

  /**
   * The device has gone, or the session stays. This must not fire the Will: that is for the node that has the
   * session.
   */
  leave(): void {
    this.attempts?.withdraw();
    this.attempts = undefined;
  }
}
