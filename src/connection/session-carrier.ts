import type { Connect } from '../protocol/mqtt/connect.ts';
import { Session, type SessionEvent } from '../session/index.ts';
import type { Carrier, Shell } from './carrier.ts';
import { Deaths } from './deaths.ts';
import { closingOf, codeOf, comesBack, nodeEndOf, purgesNothing, reasonOf } from './ends.ts';
import { Journey } from './journey.ts';
import { LaterTurns } from './later-turns.ts';
import { Meter } from './meter.ts';
import type { Parting } from './part.ts';
import { sessionOptions } from './session-options.ts';
import type { MoveAnswer, Traveller } from './traveller.ts';
import { Vigil } from './vigil.ts';
import type { EndCause, Link, Target } from './wire.ts';
import type { EndReason, MoveCause, PoolRoute, Reattachment } from './world.ts';

/** Part of `silenceTimeout` in which a suspected node must answer; the rest is for the suspicion. */
const PROOF = 0.4;

/**
 * Session mode: the session follows the packets, so that when its node is lost, leaves or is drained, another node
 * takes it while the device stays connected. Rules: `docs/session-mode.md`.
 *
 * The journey knows the nodes; here is what is said, how long nobody says anything, and how it ends. Until it does, the
 * connection's timer is the journey's while no node serves, else the vigil's.
 */
export class SessionCarrier implements Carrier, Traveller {
  readonly session: Session;
  private readonly shell: Shell;
  private readonly route: PoolRoute;
  private readonly journey: Journey;
  private vigil: Vigil | undefined;
  private readonly meter: Meter | undefined;
  private events: SessionEvent[] | undefined;
  readonly deaths: Deaths;
  private holds = false;
  private pauses = false;
  /** The link that is not read, because what came on it is still to be taken; -1: none. */
  private heldLink: Link = -1;
  private readonly later: LaterTurns;
  /** What is told when all that came before is taken: the end of the link, and the device's last word. */
  private linkEnd: { readonly link: Link; readonly cause: EndCause } | undefined;
  private farewellWaits = false;
  /** The device sent DISCONNECT, which waits for the next node. */
  private leaving = false;
  /** The device has ended its side, and may still read. */
  private finished = false;
  /** The device has said its last to its node: the node has its time to answer, and to close. */
  private isFarewell = false;
  private parting: Parting = 'reset';
  private purges = true;

  /** `raw` is the packet that `connect` was decoded from. */
  constructor(shell: Shell, connect: Connect, route: PoolRoute, raw: Uint8Array) {
    this.shell = shell;
    this.route = route;
    const options = sessionOptions(shell.world, route, connect.clientId === '');
    this.session = new Session(connect, raw, options, this);
    this.meter = route.rates && new Meter(route.rates);
    this.deaths = new Deaths(shell, this);
    this.later = new LaterTurns(shell.wire, this);
    this.journey = new Journey(shell, connect, route, this);
  }

  get target(): Target | undefined {
    return this.journey.target;
  }

  /** The last re-attachments, newest last. */
  get history(): readonly Reattachment[] {
    return this.journey.moves.history;
  }

  /** The node that serves, or is asked to; while there is none, the one that it comes from. */
  get lastTarget(): Target | undefined {
    return this.journey.target ?? this.journey.move?.origin;
  }

  /** A node has the session. */
  get isServed(): boolean {
    return this.vigil !== undefined;
  }

  get assignedClientId(): string | undefined {
    return this.session.assignedClientId;
  }

  place(preferred: string | undefined): void {
    if (!this.journey.isOver) this.journey.search(preferred);
  }

  /** Moves the session to another node, or to that one and no other. */
  moveAway(cause: MoveCause, to?: string): MoveAnswer {
    return this.journey.moveAway(cause, to);
  }

  // ---- bytes -----------------------------------------------------------------------------------------------

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    if (this.journey.isOver) return;
    if (this.vigil !== undefined) this.vigil.deviceSpoke = true;
    this.session.fromDevice(bytes, start, end);
    this.settle();
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    if (link !== this.journey.link) return this.journey.otherData(link, bytes, start, end);
    if (this.vigil !== undefined) this.vigil.heard++;
    this.session.fromNode(bytes, start, end);
    this.settle();
    this.journey.hung?.spoke();
  }

  toNode(bytes: Uint8Array, start: number, end: number): void {
    const { link } = this.journey;
    if (link >= 0) this.shell.wire.toNode(link, bytes, start, end);
    if (this.vigil !== undefined) this.vigil.toldNode = true;
  }

  toDevice(bytes: Uint8Array, start: number, end: number): void {
    if (this.vigil === undefined) this.journey.spoken = true;
    this.shell.wire.toDevice(bytes, start, end);
  }

  isDeviceBehind(): boolean {
    return this.shell.wire.isDeviceBehind();
  }

  // ---- what the session tells ------------------------------------------------------------------------------

  event(event: SessionEvent): void {
    this.events ??= [];
    this.events.push(event);
  }

  settle(): void {
    while (this.events !== undefined) {
      const { events } = this;
      this.events = undefined;
      for (const event of events) if (!this.journey.isOver) this.on(event);
    }
    if (this.journey.isOver) return;
    const { meter, shell } = this;
    if (meter !== undefined) this.keepPace(meter);
    const pauseMs = this.pauseMs();
    const { hasNodeRest, hasDeviceRest } = this.session;
    if (hasNodeRest !== this.heldLink >= 0) this.holdNode(hasNodeRest);
    if (hasNodeRest) this.later.askForNode();
    if (hasDeviceRest && pauseMs === 0) this.later.askForDevice(this.journey.link);
    const isNewPause = pauseMs > 0 && !this.pauses;
    this.pauses = pauseMs > 0;
    const holds = this.session.holdsDevice;
    if (holds !== this.holds) shell.wire.holdDevice(holds);
    this.holds = holds;
    if (isNewPause && this.vigil !== undefined && !this.journey.isMoving) this.watch(this.vigil);
  }

  private keepPace(meter: Meter): void {
    const nowMs = this.shell.world.now();
    this.session.bill(meter, nowMs);
    this.session.pause(meter.waitMs(nowMs) > 0);
  }

  private holdNode(hold: boolean): void {
    const link = hold ? this.journey.link : this.heldLink;
    this.heldLink = hold ? link : -1;
    this.shell.wire.holdNode(link, hold);
  }

  goOnNode(): void {
    const { session, journey } = this;
    if (journey.isOver) return;
    session.goOnNode();
    this.settle();
    const { linkEnd } = this;
    if (linkEnd === undefined || session.hasNodeRest) return;
    this.linkEnd = undefined;
    if (linkEnd.link === journey.link) this.linkEnded(linkEnd.link, linkEnd.cause);
  }

  goOnDevice(): void {
    const { session, journey } = this;
    if (journey.isOver) return;
    if (this.pauseMs() === 0) session.goOnDevice(this.meter?.step);
    this.settle();
    if (this.farewellWaits && !session.hasDeviceRest) this.farewell();
  }

  /** How long what a device says waits that is ahead of its pace. While no node serves it, it waits for that. */
  private pauseMs(): number {
    const { meter, vigil } = this;
    return meter === undefined || vigil === undefined ? 0 : meter.waitMs(this.shell.world.now());
  }

  private on(event: SessionEvent): void {
    const { journey, shell } = this;
    switch (event.kind) {
      case 'accepted':
        journey.accepted();
        return shell.placed(true);
      case 'refused':
        return journey.refused(event.code, event.packet);
      case 'resumed':
        return journey.resumed(event.sessionPresent, event.leftBehind);
      case 'suspected':
        return this.deaths.suspected(journey.target, this.route);
      case 'acquitted':
        return this.deaths.over();
      case 'node-leaving':
        return journey.nodeLeaves(event.code, event.serverReference);
      case 'node-fault':
        return this.linkEnded(journey.link, 'error');
      case 'taken-over':
        return journey.hung?.follows() ? undefined : this.end('taken-over');
      case 'node-ended':
        shell.because('node-closed');
        return shell.close('flush');
      case 'device-left':
        return event.forwarded ? this.left() : this.waitToLeave();
      case 'end':
        if (event.why !== 'asked') shell.because(reasonOf[event.why]);
        return event.drops ? journey.drop(event.code) : shell.close('flush');
    }
  }

  // ---- links -----------------------------------------------------------------------------------------------

  linkOpened(link: Link): void {
    this.journey.linkOpened(link);
  }

  linkFailed(link: Link, errno: string): void {
    this.journey.linkFailed(link, errno);
  }

  linkEnded(link: Link, cause: EndCause): void {
    if (this.session.hasNodeRest && link === this.journey.link) this.linkEnd = { link, cause };
    else if (this.isFarewell && link === this.journey.link) this.shell.close('flush');
    else this.journey.linkEnded(link, cause);
  }

  // ---- watching --------------------------------------------------------------------------------------------

  served(): void {
    if (this.finished) this.farewell();
    if (this.isFarewell) return;
    const { wire, world } = this.shell;
    this.vigil ??= new Vigil(this.session, wire, world.now());
    this.watch(this.vigil);
  }

  adrift(): void {
    this.vigil = undefined;
    this.deaths.over();
  }

  private watch(vigil: Vigil): void {
    const dueMs = vigil.dueMs(this.shell.world.now());
    const pauseMs = this.pauseMs();
    const wakesMs = pauseMs > 0 ? Math.min(dueMs, Math.ceil(pauseMs)) : dueMs;
    this.shell.wire.setTimer(Math.min(wakesMs, this.journey.hung?.dueMs ?? wakesMs));
  }

  rewatch(): void {
    if (this.vigil !== undefined) this.watch(this.vigil);
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
    if (this.vigil === undefined || this.journey.isMoving) return;
    this.vigil.check(this.shell.world.now(), this.silenceTimeoutMs * PROOF);
    this.watch(this.vigil);
  }

  timer(): void {
    const { journey, shell } = this;
    if (this.isFarewell) return shell.close('flush');
    journey.hung?.timer();
    const { vigil } = this;
    if (this.deaths.timer() || journey.timer() || vigil === undefined) return;
    if (this.holds || this.farewellWaits) vigil.deviceSpoke = true; // if it did, it was not heard
    if (this.meter !== undefined) this.settle();
    switch (vigil.look(shell.world.now())) {
      case 'alive':
        return this.watch(vigil);
      case 'device-gone':
        return this.end('keep-alive');
      case 'node-silent':
        this.watch(vigil);
        return journey.nodeHangs();
    }
  }

  // ---- ends ------------------------------------------------------------------------------------------------

  /**
   * A device that vanishes leaves its Will; one whose DISCONNECT still waits for a node has said goodbye. One that has
   * only ended its side may have said something before, and wait for the answer: its node is told the same.
   */
  deviceEnded(cause: EndCause): void {
    if (cause === 'fin') {
      this.finished = true;
      if (!this.leaving) this.parting = 'flush';
      if (this.isFarewell) this.shell.wire.finishNode(this.journey.link);
      else if (this.vigil !== undefined && !this.session.isWithheld) this.farewell();
      return;
    }
    if (!this.leaving) this.parting = 'reset';
    this.shell.close(closingOf(cause));
  }

  private waitToLeave(): void {
    this.leaving = true;
    this.parting = 'goodbye';
  }

  /** The device's DISCONNECT is on its way to the node. */
  private left(): void {
    this.leaving = true;
    this.parting = 'flush';
    this.shell.because('device-closed');
    this.farewell();
  }

  private farewell(): void {
    const { wire, world } = this.shell;
    if (this.isFarewell || this.journey.isOver) return;
    this.farewellWaits = this.session.hasDeviceRest;
    if (this.farewellWaits) return this.later.askForDevice(-1); // at once, or a node that hangs holds the end up
    this.isFarewell = true;
    this.vigil = undefined;
    this.journey.giveUpMove();
    this.session.deviceFinished();
    wire.setTimer(world.limits.halfCloseTimeoutMs);
    if (this.finished) wire.finishNode(this.journey.link);
  }

  /** The device has the broker's word on the way, or is closed as a 3.1.1 broker does who has none. */
  nodeEnded(cause: EndCause): void {
    this.purges = false; // what the node has under this client id by now may be another connection's
    this.shell.because(nodeEndOf(cause));
    this.shell.close(cause === 'fin' ? 'flush' : 'reset');
  }

  /** Tells the device why, where its protocol has a word for it, and closes. */
  end(reason: EndReason): void {
    if (this.isFarewell) return this.shell.close('flush');
    // It is alive, and its Will must not fire because of us (rule 13).
    if (comesBack(reason)) this.parting = 'goodbye';
    if (purgesNothing(reason)) this.purges = false;
    this.shell.because(reason);
    this.session.endDevice(codeOf(reason));
    this.settle();
    this.shell.close('flush');
  }

  /** What a node has under this client id is the newer connection's by now: nothing is purged there (rule 14). */
  superseded(): void {
    const { journey, shell } = this;
    this.purges = false;
    if (journey.lost !== undefined) shell.world.linkExplained(shell, journey.lost.target);
    journey.superseded();
  }

  takenOver(isWhole: boolean): void {
    // A node that has not closed its link to it may fire the Will of a device that is alive (rule 13).
    if (!this.isFarewell) this.parting = 'goodbye';
    if (isWhole) this.end('taken-over');
    else this.endInTheMiddle('taken-over');
  }

  endInTheMiddle(reason: EndReason): void {
    this.shell.because(reason);
    this.shell.close('reset');
  }

  leave(): void {
    this.adrift();
    this.journey.leave(this.parting, this.purges);
  }

  closed(): void {
    this.journey.closed();
    this.session.wipe();
  }
}
