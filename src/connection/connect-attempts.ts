/** Searches a node for one device: dials candidates one after another until one accepts the CONNECT. */

import { type CandidateOptions, Candidates } from './candidates.ts';
import type { ConnectionHost, DialFailure, Placement } from './connection-host.ts';
import type { Asker, Evidence } from './evidence.ts';
import { NodePermit } from './node-permit.ts';
import { Turn, type TurnHost, turnEndOf } from './turn.ts';
import type { TurnEnd, TurnQueue } from './turn-queue.ts';
import { type EndCause, type Link, type Target, TLS_REASON, type Wire } from './wire.ts';

const FAILURE_OF_ERRNO: Readonly<Record<string, DialFailure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  ETIMEDOUT: 'timeout',
  // Of this machine (socket(2), connect(2)): all nodes would seem to be down, and their sessions would be moved.
  EMFILE: 'local',
  ENFILE: 'local',
  ENOBUFS: 'local',
  ENOMEM: 'local',
  EADDRNOTAVAIL: 'local',
};

/** Why no node was even asked, though there are nodes: all have as many connections, or as many waiting, as they may. */
export const shortages = ['nodes-full', 'nodes-busy'] as const;
export type Shortage = (typeof shortages)[number];

/** What a node said to a device that it did not take: a whole CONNACK, or nothing, by ending the link. */
type LastWord = { readonly connack: Uint8Array } | { readonly end: EndCause };

/** A CONNECT that a node does not stand, the next will not either: it is given to so many that end the link. */
const MAX_ENDS = 2;

export interface AttemptOptions extends CandidateOptions {
  /** How long the CONNACK of a node that lives is waited for, in ms. Absent: as long as a new device waits for it. */
  readonly connackDeadlineMs?: number | undefined;
  /** What leaves a node that has got CONNECT and not answered; undefined where nothing may be said, as in a packet. */
  readonly goodbye?: () => Uint8Array | undefined;
  /** The node that is tried is gone, as `overdue` would tell. */
  readonly gone?: () => void;
  /** Where `dialAtTurn` waits, and for how long at most where there is no other node, in ms. */
  readonly turns?: TurnQueue | undefined;
  readonly turnDeadlineMs?: number | undefined;
  /** Something is sent as soon as a link is open, as MQTT's CONNECT is; true by default. */
  readonly greets?: boolean;
}

/**
 * Every re-attach waits at least so long, at random: what ends a link may be a device that has come back elsewhere, and
 * word of that must have its time to arrive (rule 14).
 */
const JITTER_MS = { min: 20, spread: 40 };

/** Why an attempt has lasted long enough. `slow`: the node lives, and does not answer all the same. */
export type Overdue = Extract<DialFailure, 'timeout' | 'connack-timeout'> | 'slow';

/** What is asked of whoever searches. */
export interface Seeker {
  readonly wire: Pick<Wire, 'dial' | 'toNode' | 'endNode' | 'setTimer'>;
  readonly host: Pick<
    ConnectionHost,
    'now' | 'random' | 'take' | 'release' | 'queue' | 'dialled' | 'dialFailed' | 'evidence' | 'forget'
  >;
}

/**
 * One search for a node: candidates are dialled best first, one at a time, within bounds on number and time.
 * The connection's timer is this object's while it searches.
 *
 * A CONNECT that was sent is waited for while its node lives: a cluster may have to wait for another of its nodes first,
 * which says nothing against this one, and whoever asks elsewhere meanwhile is refused there (decision 11).
 */
export class ConnectAttempts implements Asker, TurnHost {
  /** The link that is tried now. */
  link: Link = -1;
  /** The place that is tried now; counted from the dial on, so that concurrent picks see it. */
  permit: NodePermit | undefined;
  /** Of the last node that said anything. */
  lastWord: LastWord | undefined;
  readonly connection: Seeker;
  private readonly placement: Placement;
  private readonly how: AttemptOptions;
  private deadlineMs: number;
  private readonly candidates: Candidates;
  private tried = 0;
  /** Nodes that ended the link behind CONNECT. */
  private ends = 0;
  private lastShortage: Shortage | undefined;
  private turnMs = 0;
  private isToQueue = false;
  private turn: Turn | undefined;
  /** When CONNECT was sent on the link that is tried; undefined before. */
  private askedAtMs: number | undefined;
  private isInDoubt = false;
  private dialledAtMs = 0;

  constructor(connection: Seeker, placement: Placement, how: AttemptOptions = {}) {
    this.connection = connection;
    this.placement = placement;
    this.how = how;
    this.candidates = new Candidates(placement.candidates, how);
    this.deadlineMs = connection.host.now() + placement.retryPolicy.deadlineMs;
  }

  /**
   * The next candidate with room, counted as if it was dialled already; undefined when there is none, or no time.
   * A device that is `new` also takes its place in the node's queue, where there is one; `dialInTurn` then.
   */
  choose(isNew = false): Target | undefined {
    if (this.isEnough || this.leftMs() <= 0) return undefined;
    let target = this.candidates.next();
    while (target !== undefined && !this.sit(target, isNew)) target = this.candidates.next();
    if (target !== undefined) this.tried++;
    return target;
  }

  private sit(target: Target, isNew: boolean): boolean {
    const { host } = this.connection;
    const permit = NodePermit.take(host, target);
    const turnMs =
      isNew && permit !== undefined ? host.queue(target, this.placement.retryPolicy.connectQueue) : 0;
    if (permit === undefined) this.lastShortage = 'nodes-full';
    else if (turnMs === undefined) this.lastShortage = 'nodes-busy';
    else {
      this.permit = permit;
      this.turnMs = turnMs;
      return true;
    }
    permit?.release();
    return false;
  }

  private get isEnough(): boolean {
    return this.tried >= this.placement.retryPolicy.maxAttempts || this.ends >= MAX_ENDS;
  }

  /**
   * Is it better to leave the node that is tried? One that only says nothing is left where another can be asked. The last one
   * is waited for while its link stands: on a machine without time all nodes are silent, and a refusal would help nobody.
   */
  private isToLeave(evidence: Evidence): boolean {
    const isSilent = evidence === 'no-answer' || evidence === 'unhealthy';
    const isNewDevice = this.how.connackDeadlineMs === undefined;
    if (!isSilent || !isNewDevice) return true;
    return !this.isEnough && this.candidates.hasNext;
  }

  /** Dials a new device's node when its turn in the queue has come. */
  dialInTurn(): void {
    this.dialIn(this.turnMs);
  }

  /** Dials what `choose` gave when its turn has come. That wait is not the node's fault, and costs no patience. */
  dialIn(ms: number): void {
    if (ms <= 0) return this.dial();
    this.deadlineMs += ms;
    this.connection.wire.setTimer(ms);
  }

  /** Dials what `choose` gave when it is its turn among the sessions that are asked for there. */
  dialAtTurn(): void {
    this.isToQueue = true;
    this.dialIn(JITTER_MS.min + this.connection.host.random() * JITTER_MS.spread);
  }

  private queueUp(): void {
    this.isToQueue = false;
    if (this.how.turns === undefined) return this.dial();
    this.turn = new Turn(this, this.how.turns, this.target);
    this.turn.enter();
  }

  private endTurn(end: TurnEnd): void {
    this.turn?.end(end);
    this.turn = undefined;
  }

  // ---- of `Turn`

  get turnPatienceMs(): { readonly here: number; readonly last: number } {
    return { here: this.placement.retryPolicy.connackTimeoutMs, last: this.how.turnDeadlineMs ?? 0 };
  }

  /** A wait for a turn is not the node's fault, and costs no patience. */
  waited(ms: number): void {
    this.deadlineMs += ms;
  }

  queueElsewhere(): boolean {
    if (this.leftMs() <= 0) return false;
    for (let next = this.candidates.nextPlain(); next !== undefined; next = this.candidates.nextPlain()) {
      const permit = NodePermit.take(this.connection.host, next);
      if (permit === undefined) continue;
      this.endTurn('left');
      this.permit?.release();
      this.permit = permit;
      this.queueUp();
      return true;
    }
    return false;
  }

  /** Dials what `choose` gave. */
  dial(): void {
    const { wire, host } = this.connection;
    if (this.permit === undefined) return;
    this.dialledAtMs = host.now();
    this.link = wire.dial(this.permit.target, this.how.greets ?? true);
    wire.setTimer(Math.max(1, Math.min(this.placement.retryPolicy.connectTimeoutMs, this.leftMs())));
  }

  /** CONNECT is on its way: the node has its time to answer. */
  opened(): void {
    this.askedAtMs = this.connection.host.now();
    this.isInDoubt = false;
    this.lookAgain();
  }

  /** The first look asks whether the node lives, so that the answer is there by the second. */
  lookAgain(): void {
    const { connackTimeoutMs } = this.placement.retryPolicy;
    const leftMs = Math.min(this.leftMs(), this.connackDeadlineMs - this.waitedMs);
    this.connection.wire.setTimer(Math.max(1, Math.min(connackTimeoutMs / 2, leftMs)));
  }

  private get connackDeadlineMs(): number {
    return this.how.connackDeadlineMs ?? this.placement.retryPolicy.connackDeadlineMs;
  }

  /** How long the node that is tried has had CONNECT; 0 before. */
  get waitedMs(): number {
    return this.askedAtMs === undefined ? 0 : this.connection.host.now() - this.askedAtMs;
  }

  private leftMs(): number {
    return this.deadlineMs - this.connection.host.now();
  }

  /** Has the node had CONNECT, and not answered? */
  get isAsking(): boolean {
    return this.askedAtMs !== undefined;
  }

  /** Has it had CONNECT for so long that its cluster is to be suspected? */
  get isSlow(): boolean {
    return this.waitedMs >= this.placement.retryPolicy.connackTimeoutMs / 2;
  }

  /** The timer has fired: why the attempt is to be ended by `fail`; undefined when it goes on, or begins. */
  due(): Overdue | undefined {
    if (this.link >= 0) return this.overdue();
    if (this.turn !== undefined) this.turn.timer();
    else if (this.isToQueue) this.queueUp();
    else this.dial(); // its turn has come
    return undefined;
  }

  private overdue(): Overdue | undefined {
    if (this.askedAtMs === undefined) return 'timeout';
    const { connackTimeoutMs } = this.placement.retryPolicy;
    if (this.waitedMs >= this.connackDeadlineMs) return 'slow';
    const evidence = this.connection.host.evidence(this);
    if (evidence === undefined) this.isInDoubt = true;
    else this.forgetDoubt();
    // What was known before of the node need not be why it is slow.
    const isProof = evidence === 'refused' || evidence === 'no-answer';
    const isCounted = isProof || (evidence !== undefined && this.waitedMs >= connackTimeoutMs);
    if (isCounted && this.isToLeave(evidence)) return 'connack-timeout';
    this.deadlineMs = Math.max(this.deadlineMs, this.connection.host.now() + connackTimeoutMs);
    this.lookAgain();
    return undefined;
  }

  // ---- the node that is tried, as who asks whether it lives

  get target(): Target {
    if (this.permit === undefined) throw new Error('no node is tried');
    return this.permit.target;
  }

  get attachedAtMs(): number {
    return this.dialledAtMs;
  }

  judged(evidence: Evidence | undefined): void {
    this.isInDoubt = false;
    if (evidence !== undefined && this.isAsking && this.isToLeave(evidence)) this.how.gone?.();
  }

  // ---- ends ------------------------------------------------------------------------------------------------

  /** The node took the device: the permit is the caller's now. */
  succeeded(): NodePermit | undefined {
    const { permit } = this;
    if (permit !== undefined)
      this.connection.host.dialled(permit.target, this.connection.host.now() - this.dialledAtMs);
    this.forgetDoubt();
    this.askedAtMs = undefined;
    this.endTurn('answered');
    this.permit = undefined;
    return permit;
  }

  dialFailed(reason: string): void {
    const isTls = reason.startsWith(TLS_REASON);
    this.failed(isTls ? 'tls' : (FAILURE_OF_ERRNO[reason] ?? 'unreachable'), reason);
  }

  /** Ends what is `overdue`. */
  fail(why: Overdue): void {
    if (why === 'slow') return this.withdraw();
    this.part();
    this.failed(why, why === 'timeout' ? 'not connected in time' : 'no CONNACK in time');
  }

  /** Leaves the node, which has done nothing wrong, and must not take the end of the link for that of the device. */
  withdraw(): void {
    this.part();
    this.forget();
  }

  private part(): void {
    const { wire } = this.connection;
    const goodbye = this.isAsking ? this.how.goodbye?.() : undefined;
    if (goodbye !== undefined) wire.toNode(this.link, goodbye, 0, goodbye.length);
    if (this.link >= 0) wire.endNode(this.link, goodbye === undefined ? 'reset' : 'flush');
  }

  /**
   * The node ended the link behind CONNECT, or said there what is no MQTT. After long that may be the end of its cluster's
   * patience, and is told of nobody.
   */
  ended(end: EndCause): void {
    this.ends++;
    this.lastWord = { end };
    if (this.isSlow) this.giveUp();
    else this.abandon('closed-before-connack', end);
  }

  /** The node says that it cannot, in a CONNACK for the device where it is one. */
  busy(detail: string, connack?: Uint8Array): void {
    if (connack !== undefined) this.lastWord = { connack };
    this.abandon('busy', detail);
  }

  /** Resets the link that is tried, and tells of the failure. */
  private abandon(failure: DialFailure, detail: string): void {
    this.connection.wire.endNode(this.link, 'reset');
    this.failed(failure, detail);
  }

  private failed(failure: DialFailure, detail: string): void {
    const { permit } = this;
    this.endTurn(turnEndOf(failure));
    this.forget();
    if (permit !== undefined) this.connection.host.dialFailed(permit.target, failure, detail);
  }

  /** Why no node was asked; undefined when one was, or there is none. */
  get shortage(): Shortage | undefined {
    return this.tried === 0 ? this.lastShortage : undefined;
  }

  /** The node's no speaks of the device: another node may say yes. */
  declined(isCrowded: boolean): void {
    if (isCrowded) this.endTurn('busy');
    this.giveUp();
  }

  /** Ends the link that is tried, if there is one, as the device's own end asks. Nothing is held against its node. */
  giveUp(how: 'flush' | 'reset' = 'reset'): void {
    if (this.link >= 0) this.connection.wire.endNode(this.link, how);
    this.forget();
  }

  /** Every link is closed: gives back what is counted. */
  closed(): void {
    this.forgetDoubt();
    this.endTurn('left');
    this.permit?.release();
  }

  private forgetDoubt(): void {
    if (this.isInDoubt) this.connection.host.forget(this);
    this.isInDoubt = false;
  }

  private forget(): void {
    this.forgetDoubt();
    this.endTurn('left');
    this.askedAtMs = undefined;
    this.permit?.release();
    this.permit = undefined;
    this.link = -1;
  }
}
