import type { Shell } from './carrier.ts';
import { Seat } from './seat.ts';
import { type EndCause, type Link, type Target, TLS_REASON } from './wire.ts';
import type { DialFailure, Placement } from './world.ts';

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
export type LastWord = { readonly connack: Uint8Array } | { readonly end: EndCause };

/** A CONNECT that a node does not stand, the next will not either: it is given to so many that end the link. */
const MAX_ENDS = 2;

export interface Manner {
  /** A node to be asked only when all others have failed: the one that the device comes from. */
  readonly avoid?: string | undefined;
  /** Something is sent as soon as a link is open, as MQTT's CONNECT is; true by default. */
  readonly greets?: boolean;
}

/**
 * One search for a node: candidates are dialled best first, one at a time, within bounds on number and time.
 * The connection's timer is this object's while it searches.
 */
export class Attempts {
  /** The link that is tried now. */
  link: Link = -1;
  /** The place that is tried now; counted from the dial on, so that concurrent picks see it. */
  seat: Seat | undefined;
  /** Of the last node that said anything. */
  lastWord: LastWord | undefined;
  private readonly shell: Pick<Shell, 'wire' | 'world'>;
  private readonly placement: Placement;
  private deadlineMs: number;
  private avoided: string | undefined;
  private readonly greets: boolean;
  private lastResort: Target | undefined;
  private tried = 0;
  /** Nodes that ended the link behind CONNECT. */
  private ends = 0;
  private lastShortage: Shortage | undefined;
  private turnMs = 0;
  private isOpen = false;
  private dialledAtMs = 0;

  constructor(shell: Pick<Shell, 'wire' | 'world'>, placement: Placement, manner: Manner = {}) {
    this.shell = shell;
    this.placement = placement;
    this.avoided = manner.avoid;
    this.greets = manner.greets ?? true;
    this.deadlineMs = shell.world.now() + placement.patience.deadlineMs;
  }

  /**
   * The next candidate with room, counted as if it was dialled already; undefined when there is none, or no time.
   * A device that is `new` also takes its place in the node's queue, where there is one; `dialInTurn` then.
   */
  choose(isNew = false): Target | undefined {
    const isEnough = this.tried >= this.placement.patience.maxAttempts || this.ends >= MAX_ENDS;
    if (isEnough || this.leftMs() <= 0) return undefined;
    let target = this.nextTarget();
    while (target !== undefined && !this.sit(target, isNew)) target = this.nextTarget();
    if (target !== undefined) this.tried++;
    return target;
  }

  private sit(target: Target, isNew: boolean): boolean {
    const { world } = this.shell;
    const seat = Seat.take(world, target);
    const turnMs =
      isNew && seat !== undefined ? world.queue(target, this.placement.patience.connectQueue) : 0;
    if (seat === undefined) this.lastShortage = 'nodes-full';
    else if (turnMs === undefined) this.lastShortage = 'nodes-busy';
    else {
      this.seat = seat;
      this.turnMs = turnMs;
      return true;
    }
    seat?.release();
    return false;
  }

  private nextTarget(): Target | undefined {
    const next = this.placement.candidates.next();
    if (next.done) {
      const { lastResort } = this;
      this.lastResort = undefined;
      return lastResort;
    }
    if (next.value.nodeId !== this.avoided) return next.value;
    this.avoided = undefined;
    this.lastResort = next.value;
    return this.nextTarget();
  }

  /** Dials a new device's node when its turn in the queue has come. */
  dialInTurn(): void {
    this.dialIn(this.turnMs);
  }

  /** Dials what `choose` gave when its turn has come. That wait is not the node's fault, and costs no patience. */
  dialIn(ms: number): void {
    if (ms <= 0) return this.dial();
    this.deadlineMs += ms;
    this.shell.wire.setTimer(ms);
  }

  /** Dials what `choose` gave. */
  dial(): void {
    const { wire, world } = this.shell;
    if (this.seat === undefined) return;
    this.dialledAtMs = world.now();
    this.isOpen = false;
    this.link = wire.dial(this.seat.target, this.greets);
    wire.setTimer(Math.max(1, Math.min(this.placement.patience.connectTimeoutMs, this.leftMs())));
  }

  /** The link is open: the node has its time to answer CONNECT. */
  opened(): void {
    this.isOpen = true;
    this.shell.wire.setTimer(Math.max(1, Math.min(this.placement.patience.connackTimeoutMs, this.leftMs())));
  }

  private leftMs(): number {
    return this.deadlineMs - this.shell.world.now();
  }

  /** The node took the device: the seat is the caller's now. */
  succeeded(): Seat | undefined {
    const { seat } = this;
    if (seat !== undefined) this.shell.world.dialled(seat.target, this.shell.world.now() - this.dialledAtMs);
    this.seat = undefined;
    return seat;
  }

  dialFailed(reason: string): void {
    const isTls = reason.startsWith(TLS_REASON);
    this.failed(isTls ? 'tls' : (FAILURE_OF_ERRNO[reason] ?? 'unreachable'), reason);
  }

  timedOut(): void {
    if (this.isOpen) this.abandon('connack-timeout', 'no CONNACK in time');
    else this.abandon('timeout', 'not connected in time');
  }

  /** The node ended the link behind CONNECT, or said there what is no MQTT. */
  ended(end: EndCause): void {
    this.ends++;
    this.lastWord = { end };
    this.abandon('closed-before-connack', end);
  }

  /** The node says that it cannot, in a CONNACK for the device where it is one. */
  busy(detail: string, connack?: Uint8Array): void {
    if (connack !== undefined) this.lastWord = { connack };
    this.abandon('busy', detail);
  }

  /** Resets the link that is tried, and tells of the failure. */
  private abandon(failure: DialFailure, detail: string): void {
    this.shell.wire.endNode(this.link, 'reset');
    this.failed(failure, detail);
  }

  private failed(failure: DialFailure, detail: string): void {
    const { seat } = this;
    this.forget();
    if (seat !== undefined) this.shell.world.dialFailed(seat.target, failure, detail);
  }

  /** Why no node was asked; undefined when one was, or there is none. */
  get shortage(): Shortage | undefined {
    return this.tried === 0 ? this.lastShortage : undefined;
  }

  /** Ends the link that is tried, if there is one, without holding anything against its node. */
  giveUp(how: 'flush' | 'reset' = 'reset'): void {
    if (this.link >= 0) this.shell.wire.endNode(this.link, how);
    this.forget();
  }

  /** Every link is closed: gives back what is counted. */
  closed(): void {
    this.seat?.release();
  }

  private forget(): void {
    this.seat?.release();
    this.seat = undefined;
    this.link = -1;
  }
}
