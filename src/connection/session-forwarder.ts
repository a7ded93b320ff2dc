import type { Connect } from '../protocol/mqtt/connect.ts';
import { Session, type SessionEvent } from '../session/index.ts';
import { closingOf, codeOf, comesBack, nodeEndOf, purgesNothing } from './close-reasons.ts';
import type { EndReason, MigrationResult, MoveCause, PoolRoute } from './connection-host.ts';
import { Deaths } from './deaths.ts';
import { FlowControl } from './flow-control.ts';
import type { Forwarder, ForwarderHost } from './forwarder.ts';
import type { HandedSessionForwarder } from './handed-forwarder.ts';
import { KeepAliveMonitor } from './keep-alive-monitor.ts';
import { LaterTurns } from './later-turns.ts';
import type { CloseMode } from './part.ts';
import { type EventHandler, handleEvent } from './session-events.ts';
import { sessionOptions } from './session-options.ts';
import { SessionUpstream } from './session-upstream.ts';
import type { MoveAnswer, UpstreamHost } from './upstream-host.ts';
import type { EndCause, Link, Target } from './wire.ts';

/** Part of `silenceTimeout` in which a suspected node must answer; the rest is for the suspicion. */
const PROOF = 0.4;

/**
 * Session mode: the session follows the packets, so that another node can take it when its node is lost, leaves or
 * is drained, while the device stays connected. Rules: `docs/session-mode.md`.
 *
 * `SessionUpstream` knows the nodes. This class passes the packets, watches for silence, and ends the connection.
 * Until the end the connection's timer belongs to the upstream while no node serves, else to the keep-alive
 * monitor.
 */
export class SessionForwarder implements Forwarder, UpstreamHost, EventHandler {
  readonly session: Session;
  readonly connection: ForwarderHost;
  readonly route: PoolRoute;
  readonly upstream: SessionUpstream;
  private monitor: KeepAliveMonitor | undefined;
  private readonly flow: FlowControl;
  private events: SessionEvent[] | undefined;
  readonly deaths: Deaths;
  private readonly later: LaterTurns;
  /**
   * What happened behind bytes that are still to be taken: the end of the link, and the last packet of the device.
   */
  private linkEnd: { readonly link: Link; readonly cause: EndCause } | undefined;
  private farewellWaits = false;
  /** The device sent DISCONNECT, which waits for the next node. */
  private leaving = false;
  /** The device has ended its side, and may still read. */
  private finished = false;
  /** The device has sent its last packet to its node, which has its time to answer and to close. */
  private isFarewell = false;
  private closeMode: CloseMode = 'reset';
  private purges = true;

  /** @param origin the packet that `connect` was decoded from, or the session of another process */
  constructor(
    connection: ForwarderHost,
    connect: Connect,
    route: PoolRoute,
    origin: Uint8Array | HandedSessionForwarder['session'],
  ) {
    this.connection = connection;
    this.route = route;
    const isNew = origin instanceof Uint8Array;
    const chosen = isNew ? undefined : origin.chosenId;
    const options = sessionOptions(connection.host, route, connect.clientId === '', chosen);
    this.session = isNew
      ? new Session(connect, origin, options, this)
      : Session.revive(connect, origin, options, this);
    this.flow = new FlowControl(this.session, connection, route.rates);
    this.deaths = new Deaths(connection, this);
    this.later = new LaterTurns(connection.wire, this);
    this.upstream = new SessionUpstream(connection, connect, route, this);
  }

  get target(): Target | undefined {
    return this.upstream.target;
  }

  /** The last re-attachments, newest last. */
  get history(): readonly MigrationResult[] {
    return this.upstream.moves.history;
  }

  /** The node that serves, or is asked to; while there is none, the one that it comes from. */
  get lastTarget(): Target | undefined {
    return this.upstream.target ?? this.upstream.move?.origin;
  }

  /** A node has the session. */
  get isServed(): boolean {
    return this.monitor !== undefined;
  }

  get assignedClientId(): string | undefined {
    return this.session.assignedClientId;
  }

  place(preferred: string | undefined): void {
    if (!this.upstream.isOver) this.upstream.search(preferred);
  }

  /** Moves the session to another node, or to that one and no other. */
  moveAway(cause: MoveCause, to?: string): MoveAnswer {
    return this.upstream.moveAway(cause, to);
  }

  // ---- bytes -----------------------------------------------------------------------------------------------

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    if (this.upstream.isOver) return;
    if (this.monitor !== undefined) this.monitor.deviceSpoke = true;
    this.session.fromDevice(bytes, start, end);
    this.drainEvents();
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    if (link !== this.upstream.link) return this.upstream.otherData(link, bytes, start, end);
    if (this.monitor !== undefined) this.monitor.heard++;
    this.session.fromNode(bytes, start, end);
    this.drainEvents();
    this.upstream.hung?.spoke();
  }

  toNode(bytes: Uint8Array, start: number, end: number): void {
    const { link } = this.upstream;
    if (link >= 0) this.connection.wire.toNode(link, bytes, start, end);
    if (this.monitor !== undefined) this.monitor.toldNode = true;
  }

  toDevice(bytes: Uint8Array, start: number, end: number): void {
    if (this.monitor === undefined) this.upstream.spoken = true;
    this.connection.wire.toDevice(bytes, start, end);
  }

  isDeviceBehind(): boolean {
    return this.connection.wire.isDeviceBehind();
  }

  // ---- what the session tells ------------------------------------------------------------------------------

  event(event: SessionEvent): void {
    this.events ??= [];
    this.events.push(event);
  }

  drainEvents(): void {
    while (this.events !== undefined) {
      const { events } = this;
      this.events = undefined;
      for (const event of events) if (!this.upstream.isOver) handleEvent(this, event);
    }
    if (this.upstream.isOver) return;
    const isNewPause = this.flow.update(this.upstream.link, this.monitor !== undefined, this.later);
    if (isNewPause && this.monitor !== undefined && !this.upstream.isMoving) this.watch(this.monitor);
  }

  goOnNode(): void {
    const { session, upstream } = this;
    if (upstream.isOver) return;
    session.goOnNode();
    this.drainEvents();
    const { linkEnd } = this;
    if (linkEnd === undefined || session.hasNodeRest) return;
    this.linkEnd = undefined;
    if (linkEnd.link === upstream.link) this.linkEnded(linkEnd.link, linkEnd.cause);
  }

  goOnDevice(): void {
    const { session, upstream } = this;
    if (upstream.isOver) return;
    if (this.flow.pauseMs(this.monitor !== undefined) === 0) session.goOnDevice(this.flow.step);
    this.drainEvents();
    const isHeard = this.monitor !== undefined && !session.isWithheld; // else by the next node, or later
    if (this.farewellWaits && isHeard && !session.hasDeviceRest) this.farewell();
  }

  // ---- links -----------------------------------------------------------------------------------------------

  linkOpened(link: Link): void {
    this.upstream.linkOpened(link);
  }

  linkFailed(link: Link, errno: string): void {
    this.upstream.linkFailed(link, errno);
  }

  linkEnded(link: Link, cause: EndCause): void {
    if (this.session.hasNodeRest && link === this.upstream.link) this.linkEnd = { link, cause };
    else if (this.isFarewell && link === this.upstream.link) this.connection.close('flush');
    else this.upstream.linkEnded(link, cause);
  }

  // ---- watching --------------------------------------------------------------------------------------------

  served(): void {
    if (this.finished || this.farewellWaits) this.farewell();
    if (this.isFarewell) return;
    const { wire, host } = this.connection;
    this.monitor ??= new KeepAliveMonitor(this.session, wire, host.now());
    this.watch(this.monitor);
  }

  adrift(): void {
    this.monitor = undefined;
    this.deaths.over();
  }

  private watch(monitor: KeepAliveMonitor): void {
    const dueMs = monitor.dueMs(this.connection.host.now());
    const pauseMs = this.flow.pauseMs(true);
    const wakesMs = pauseMs > 0 ? Math.min(dueMs, Math.ceil(pauseMs)) : dueMs;
    this.connection.wire.setTimer(Math.min(wakesMs, this.upstream.hung?.dueMs ?? wakesMs));
  }

  rewatch(): void {
    if (this.monitor !== undefined) this.watch(this.monitor);
  }

  /** Within this time a node that hangs is left. */
  get silenceTimeoutMs(): number {
    return this.route.moves.silenceTimeoutMs;
  }

  /** Asks the node for a sign of life; `isSilent` wants to know the answer. Undefined while no node serves. */
  ask(): number | undefined {
    return this.monitor?.ask();
  }

  /** Has the node said nothing since? */
  isSilent(heardThen: number): boolean {
    return this.monitor?.isSilent(heardThen) ?? false;
  }

  /** The node may hang: unless it gives a sign of life in time, the session moves. */
  check(): void {
    if (this.monitor === undefined || this.upstream.isMoving) return;
    this.monitor.check(this.connection.host.now(), this.silenceTimeoutMs * PROOF);
    this.watch(this.monitor);
  }

  timer(): void {
    const { upstream, connection } = this;
    if (this.isFarewell) return connection.close('flush');
    upstream.hung?.timer();
    const { monitor } = this;
    if (this.deaths.timer() || upstream.timer() || monitor === undefined) return;
    if (this.flow.holdsDevice || this.farewellWaits) monitor.deviceSpoke = true; // if it did, it was not heard
    if (this.flow.isMetered) this.drainEvents();
    switch (monitor.look(connection.host.now())) {
      case 'alive':
        return this.watch(monitor);
      case 'device-gone':
        return this.end('keep-alive');
      case 'node-silent':
        this.watch(monitor);
        return upstream.nodeHangs();
    }
  }

  // ---- ends ------------------------------------------------------------------------------------------------

  /**
   * A device that vanishes leaves its Will to the node. One whose DISCONNECT still waits for a node has said
   * goodbye. One that has only ended its own side may have sent something, and waits for the answer: its node sees
   * the same half-close.
   */
  deviceEnded(cause: EndCause): void {
    if (cause === 'fin') {
      this.finished = true;
      if (!this.leaving) this.closeMode = 'flush';
      if (this.isFarewell) this.connection.wire.finishNode(this.upstream.link);
      else if (this.monitor !== undefined && !this.session.isWithheld) this.farewell();
      return;
    }
    if (!this.leaving) this.closeMode = 'reset';
    this.connection.close(closingOf(cause));
  }

  waitToLeave(): void {
    this.leaving = true;
    this.closeMode = 'goodbye';
  }

  /** The device's DISCONNECT is on its way to the node. */
  left(): void {
    this.leaving = true;
    this.closeMode = 'flush';
    this.connection.because('device-closed');
    this.farewell();
  }

  private farewell(): void {
    const { wire, host } = this.connection;
    if (this.isFarewell || this.upstream.isOver) return;
    this.farewellWaits = this.session.hasDeviceRest;
    if (this.farewellWaits) return this.later.askForDevice(-1); // at once, or a node that hangs holds the end up
    this.isFarewell = true;
    this.monitor = undefined;
    this.upstream.giveUpMove();
    this.session.deviceFinished();
    wire.setTimer(host.limits.halfCloseTimeoutMs);
    if (this.finished) wire.finishNode(this.upstream.link);
  }

  /**
   * What the broker has said is on the way to the device, or the device is closed without a word, as brokers of
   * 3.1.1 do.
   */
  nodeEnded(cause: EndCause): void {
    this.purges = false; // what the node has under this client id by now may be another connection's
    this.connection.because(nodeEndOf(cause));
    this.connection.close(cause === 'fin' ? 'flush' : 'reset');
  }

  /** Tells the device why, where its protocol has a word for it, and closes. */
  end(reason: EndReason, serverReference?: string): void {
    if (this.isFarewell) return this.connection.close('flush');
    // It is alive, and its Will must not fire because of us (rule 13).
    if (comesBack(reason)) this.closeMode = 'goodbye';
    if (purgesNothing(reason)) this.purges = false;
    this.connection.because(reason);
    this.session.endDevice(codeOf(reason, serverReference), serverReference);
    this.drainEvents();
    this.connection.close('flush');
  }

  /**
   * The session that a node has under this client id belongs to the newer connection by now: it is not purged (rule
   * 14).
   */
  superseded(): void {
    this.purges = false;
    this.upstream.superseded();
  }

  takenOver(isWhole: boolean): void {
    // A node that has not closed its link to it may fire the Will of a device that is alive (rule 13).
    if (!this.isFarewell) this.closeMode = 'goodbye';
    if (isWhole) this.end('taken-over');
    else this.endInTheMiddle('taken-over');
  }

  endInTheMiddle(reason: EndReason): void {
    this.connection.because(reason);
    this.connection.close('reset');
  }

  leave(): void {
    this.adrift();
    this.upstream.leave(this.closeMode, this.purges);
  }

  closed(): void {
    this.upstream.closed();
    this.session.wipe();
  }

  // ---- between processes -----------------------------------------------------------------------------------

  /** While a node serves, and nothing else is under way. */
  describe(): HandedSessionForwarder | undefined {
    const { monitor, connection, leaving, closeMode, purges } = this;
    const waits = this.later.isAsked || this.farewellWaits || this.linkEnd !== undefined;
    if (monitor === undefined || waits || this.finished) return undefined;
    const [session, upstream] = [this.session.describe(), this.upstream.describe()];
    const [flow, deaths] = [this.flow.describe(), this.deaths.describe()];
    if (!session || !upstream || !flow || !deaths) return undefined;
    return {
      ...{ kind: 'session', session, upstream, flow, deaths, leaving, closeMode, purges },
      monitor: monitor.describe(connection.host.now()),
    };
  }

  /** `route` is that of `handed.upstream`, and `target` the node. */
  static revive(
    connection: ForwarderHost,
    connect: Connect,
    route: PoolRoute,
    target: Target,
    handed: HandedSessionForwarder,
  ): SessionForwarder {
    const { wire, host } = connection;
    const forwarder = new SessionForwarder(connection, connect, route, handed.session);
    forwarder.upstream.revive(target, handed.upstream);
    forwarder.flow.revive(handed.flow);
    forwarder.deaths.revive(handed.deaths);
    forwarder.monitor = new KeepAliveMonitor(forwarder.session, wire, host.now());
    forwarder.monitor.revive(handed.monitor, host.now());
    forwarder.leaving = handed.leaving;
    forwarder.closeMode = handed.closeMode;
    forwarder.purges = handed.purges;
    return forwarder;
  }

  departed(): void {
    this.deaths.over();
    this.closed();
  }
}
