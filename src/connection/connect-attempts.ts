/** Searches a node for one device: dials candidates one after another until one accepts the CONNECT. */

import { type CandidateOptions, Candidates } from './candidates.ts';
import type { ConnectionHost, DialFailure, Placement } from './connection-host.ts';
import { dialFailureOf } from './dial-failure.ts';
import { Doubt, type DoubtHost } from './doubt.ts';
import type { Evidence } from './evidence.ts';
import { NodePermit } from './node-permit.ts';
import { Turn, type TurnHost, turnEndOf } from './turn.ts';
import type { TurnEnd, TurnQueue } from './turn-queue.ts';
import type { EndCause, Link, Target, Wire } from './wire.ts';

/** Why no node was even asked, though there are nodes: all have as many connections, or as many waiting, as they may. */
export const shortages = ['nodes-full', 'nodes-busy'] as const;
export type Shortage = (typeof shortages)[number];

/** How a node refused a device: with a whole CONNACK, or without a word, by ending the link. */
type LastWord = { readonly connack: Uint8Array } | { readonly end: EndCause };

/** Where a CONNECT makes a node end the link, it probably does the same to the next: after so many the search ends. */
const MAX_ENDS = 2;

export interface AttemptOptions extends CandidateOptions {
  /** How long the CONNACK of a node that lives is waited for, in ms. Absent: as long as a new device waits for it. */
  readonly connackDeadlineMs?: number | undefined;
  /**
   * The packet for a node that has CONNECT, has not answered, and is given up. Undefined where nothing may be sent,
   * such as in the middle of another packet.
   */
  readonly goodbye?: () => Uint8Array | undefined;
  /** Called when the node that is tried turns out to be gone between two looks. */
  readonly gone?: () => void;
  /** Can the device wait, because its node lives or may go on? Then the one that was asked is left on better evidence only. */
  readonly waits?: () => boolean;
  /** Where `dialAtTurn` waits, and for how long at most where there is no other node, in ms. */
  readonly turns?: TurnQueue | undefined;
  readonly turnDeadlineMs?: number | undefined;
  /** Something is sent as soon as a link is open, as MQTT's CONNECT is; true by default. */
  readonly greets?: boolean;
}

/**
 * Every re-attach waits at least so long, for a random time. The link may have ended because the device has come
 * back at another proxy, and the news of that needs time to arrive (rule 14).
 */
const JITTER_MS = { min: 20, spread: 40 };

/** Why an attempt has lasted long enough. `slow`: the node lives, and does not answer all the same. */
export type Overdue = Extract<DialFailure, 'timeout' | 'connack-timeout'> | 'slow';

/** What is asked of whoever searches. */
export interface Seeker {
  readonly wire: Pick<Wire, 'dial' | 'toNode' | 'endNode' | 'setTimer' | 'guard'>;
  readonly host: Pick<
    ConnectionHost,
    'now' | 'random' | 'take' | 'release' | 'queue' | 'dialled' | 'dialFailed' | 'evidence' | 'forget'
  >;
}

/**
 * One search for a node: candidates are dialled best first, one at a time, within bounds on number and time. The
 * connection's timer is this object's while it searches.
 *
 * Once CONNECT is sent, its answer is waited for as long as the node lives. A cluster of brokers may have to wait
 * for one of its own nodes before it can answer. That says nothing against this node, and another node of the
 * cluster would refuse the device meanwhile (decision 11).
 */
export class ConnectAttempts implements DoubtHost, TurnHost {
  /** The link that is tried now. */
  link: Link = -1;
  /**
   * The permit for the node that is tried. It counts from the dial on, so that other connections that choose a node
   * see it.
   */
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
  private doubt: Doubt | undefined;
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
    while (target !== undefined && !this.takePermit(target, isNew)) target = this.candidates.next();
    if (target !== undefined) this.tried++;
    return target;
  }

  private takePermit(target: Target, isNew: boolean): boolean {
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
   * Is it better to leave the node that is tried? A node that is only silent is left where another can be asked.
   * The last node is waited for as long as its link stands: on an overloaded machine all nodes are silent, and a
   * refusal would help nobody.
   */
  private isToLeave(evidence: Evidence): boolean {
    const isSilent = evidence === 'no-answer' || evidence === 'unhealthy';
    if (isSilent && this.waits) return this.tried > 1 || this.candidates.hasNext;
    if (!isSilent || this.how.connackDeadlineMs !== undefined) return true; // it is no new device
    return !this.isEnough && this.candidates.hasNext;
  }

  /** Dials a new device's node when its turn in the queue has come. */
  dialInTurn(): void {
    this.dialIn(this.turnMs);
  }

  /**
   * Dials what `choose` gave after so many ms. That wait is not the node's fault, and is not counted in the time of
   * the search.
   */
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

  endTurn(end: TurnEnd): void {
    this.turn?.end(end);
    this.turn = undefined;
  }

  // ---- of `Turn`

  get turnPatienceMs(): { readonly here: number; readonly last: number } {
    return { here: this.placement.retryPolicy.connackTimeoutMs, last: this.how.turnDeadlineMs ?? 0 };
  }

  /** A wait for a turn is not the node's fault, and is not counted in the time of the search. */
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
    this.doubt ??= new Doubt(this, this.dialledAtMs);
    const evidence = this.doubt.ask(this.waitedMs >= connackTimeoutMs);
    if (evidence !== undefined && this.isToLeave(evidence)) return 'connack-timeout';
    this.deadlineMs = Math.max(this.deadlineMs, this.connection.host.now() + connackTimeoutMs);
    this.lookAgain();
    return undefined;
  }

  // ---- of `Doubt`

  get target(): Target {
    if (this.permit === undefined) throw new Error('no node is tried');
    return this.permit.target;
  }

  get waits(): boolean {
    return this.how.waits?.() ?? false;
  }

  judged(evidence: Evidence): void {
    if (this.isAsking && this.isToLeave(evidence)) this.connection.wire.guard(() => this.how.gone?.());
  }

  /** Has the node that is tried left the last probe unanswered? */
  get isUnanswered(): boolean {
    return this.doubt?.isUnanswered ?? false;
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
    this.failed(dialFailureOf(reason), reason);
  }

  /** Ends what is `overdue`. */
  fail(why: Overdue): void {
    if (why === 'slow') return this.withdraw();
    this.part();
    this.failed(why, why === 'timeout' ? 'not connected in time' : 'no CONNACK in time');
  }

  /**
   * Leaves the node, which has done nothing wrong. It says goodbye, so that the node does not take the end of the
   * link for the death of the device.
   */
  withdraw(): void {
    const { permit } = this;
    this.permit = undefined; // it counts until the node has closed the link
    this.part(() => permit?.release());
    this.forget();
  }

  private part(closed?: () => void): void {
    const { wire } = this.connection;
    if (this.link < 0) return closed?.();
    const goodbye = this.isAsking ? this.how.goodbye?.() : undefined;
    if (goodbye !== undefined) wire.toNode(this.link, goodbye, 0, goodbye.length);
    wire.endNode(this.link, goodbye === undefined ? 'reset' : 'flush', closed);
  }

  /**
   * The node ended the link after CONNECT, or answered with something that is not MQTT. After a long wait the
   * reason may be that its cluster gave up, and then the failure is not counted against the node.
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

  /** Resets the link that is tried, and reports the failure. */
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

  /** The node has refused this device. Another node may accept it. */
  declined(isCrowded: boolean): void {
    if (isCrowded) this.endTurn('busy');
    this.giveUp();
  }

  /** Ends the link that is tried, if there is one, in the way the device ended. The node is not blamed. */
  giveUp(how: 'flush' | 'reset' = 'reset'): void {
    if (this.link >= 0) this.connection.wire.endNode(this.link, how);
    this.forget();
  }

  /** Every link is closed: gives back what is counted. */
  closed(): void {
    this.forget();
  }

  private forgetDoubt(): void {
    this.doubt?.forget();
    this.doubt = undefined;
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
