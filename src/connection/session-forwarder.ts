import type { Connect } from '../protocol/mqtt/connect.ts';
import { Session, type SessionEvent } from '../session/index.ts';
import { closingOf, nodeEndOf } from './close-reasons.ts';
import type { EndReason, MigrationResult, MoveCause, PoolRoute } from './connection-host.ts';
import { Deaths } from './deaths.ts';
import { describeForwarder } from './describe-forwarder.ts';
import { endDevice, finishDevice } from './device-end.ts';
import { FlowControl } from './flow-control.ts';
import type { Forwarder, ForwarderHost } from './forwarder.ts';
import type { HandedSessionForwarder } from './handed-forwarder.ts';
import { KeepAliveMonitor } from './keep-alive-monitor.ts';
import { hasTimeAgain } from './last-bytes.ts';
import { noHistory } from './migration.ts';
import { Parting, revivedParting, staying } from './parting.ts';
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
  /** From when bytes are left, or the device is not read; of a route with rates, always. */
  private flow: FlowControl | undefined;
  private events: SessionEvent[] | undefined;
  deaths: Deaths | undefined;
  parting = staying;

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
    this.upstream = new SessionUpstream(connect, route, this);
    if (route.rates !== undefined) this.needFlow();
  }

  get target(): Target | undefined {
    return this.upstream.target;
  }

  /** The last re-attachments, newest last. */
  get history(): readonly MigrationResult[] {
    return this.upstream.moves?.history ?? noHistory;
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

  needDeaths(): Deaths {
    this.deaths ??= new Deaths(this.connection, this);
    return this.deaths;
  }

  needParting(): Parting {
    if (this.parting === staying) this.parting = new Parting();
    return this.parting;
  }

  private needFlow(): FlowControl {
    this.flow ??= new FlowControl(this.session, this.connection, this.route.rates, this);
    return this.flow;
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
    if (this.parting.nodeFinished) return; // it was told the end already
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
    if (this.upstream.isOver || (this.flow === undefined && this.session.isFree)) return;
    const isNewPause = this.needFlow().update(this.upstream.link, this.monitor !== undefined);
    if (isNewPause && this.monitor !== undefined && !this.upstream.isMoving) this.watch(this.monitor);
  }

  goOnNode(): void {
    const { session, upstream } = this;
    if (upstream.isOver) return;
    session.goOnNode();
    this.drainEvents();
    const { linkEnd } = this.parting;
    if (linkEnd === undefined || session.hasNodeRest) return;
    this.needParting().linkEnd = undefined;
    if (linkEnd.link === upstream.link) this.linkEnded(linkEnd.link, linkEnd.cause);
  }

  goOnDevice(): void {
    const { session, upstream } = this;
    if (upstream.isOver) return;
    if (!this.flow?.pauseMs(this.monitor !== undefined)) session.goOnDevice(this.flow?.step);
    this.drainEvents();
    const isHeard = this.monitor !== undefined || this.parting.nodeFinished; // else by the next node, or later
    if (this.parting.farewellWaits && isHeard && !session.isWithheld && !session.hasDeviceRest)
      this.farewell();
  }

  // ---- links -----------------------------------------------------------------------------------------------

  linkOpened(link: Link): void {
    this.upstream.linkOpened(link);
  }

  linkFailed(link: Link, errno: string): void {
    this.upstream.linkFailed(link, errno);
  }

  linkEnded(link: Link, cause: EndCause): void {
    if (this.session.hasNodeRest && link === this.upstream.link) this.needParting().linkEnd = { link, cause };
    else if (this.parting.isFarewell && link === this.upstream.link) this.connection.close('flush');
    else this.upstream.linkEnded(link, cause);
  }

  // ---- watching --------------------------------------------------------------------------------------------

  served(): void {
    if (this.parting.finished || this.parting.farewellWaits) this.farewell();
    if (this.parting.isFarewell) return;
    this.monitor ??= new KeepAliveMonitor(this, this.connection.host.now());
    this.watch(this.monitor);
  }

  adrift(): void {
    this.monitor = undefined;
    this.deaths?.over();
  }

  private watch(monitor: KeepAliveMonitor): void {
    const dueMs = monitor.dueMs(this.connection.host.now());
    const pauseMs = this.flow?.pauseMs(true) ?? 0;
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

  /** May the node be asked in the name of the device? Not where that would keep a device alive that says nothing itself. */
  mayAsk(nowMs: number): boolean {
    return this.monitor?.mayAsk(nowMs) ?? false;
  }

  /** Has the device been silent for so long that its node may end it for that? */
  get isOverdue(): boolean {
    return this.monitor?.isOverdue(this.connection.host.now()) ?? false;
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
    const { upstream, connection, parting } = this;
    if (parting.isHalfClosed) return hasTimeAgain(connection) ? undefined : connection.close('flush');
    upstream.hung?.timer();
    const { monitor } = this;
    if (this.deaths?.timer() || upstream.timer() || monitor === undefined) return;
    if (this.flow?.holdsDevice || parting.farewellWaits) monitor.deviceSpoke = true; // if it did, it was not heard
    if (this.flow !== undefined) this.drainEvents(); // a pause may be over
    const isSilent = monitor.look(connection.host.now());
    this.watch(monitor);
    if (isSilent) upstream.nodeHangs();
  }

  // ---- ends ------------------------------------------------------------------------------------------------

  /**
   * A device that vanishes leaves its Will to the node. One whose DISCONNECT still waits for a node has said goodbye. One that
   * has only ended its own side may have sent something, and waits for the answer: its node sees the same half-close.
   */
  deviceEnded(cause: EndCause): void {
    const parting = this.needParting();
    if (cause === 'fin') {
      parting.finished = true;
      if (!parting.leaving) parting.closeMode = 'flush';
      if (parting.isFarewell) this.connection.wire.finishNode(this.upstream.link);
      else if (parting.nodeFinished || (this.monitor !== undefined && !this.session.isWithheld))
        this.farewell();
      return;
    }
    if (!parting.leaving) parting.closeMode = 'reset';
    this.connection.close(closingOf(cause));
  }

  waitToLeave(): void {
    const parting = this.needParting();
    parting.leaving = true;
    parting.closeMode = 'goodbye';
  }

  /** The device's DISCONNECT is on its way to the node. */
  left(): void {
    const parting = this.needParting();
    parting.leaving = true;
    parting.closeMode = 'flush';
    this.connection.because('device-closed');
    this.farewell();
  }

  farewell(): void {
    const { wire, host } = this.connection;
    const parting = this.needParting();
    if (parting.isFarewell || this.upstream.isOver) return;
    parting.farewellWaits = this.session.hasDeviceRest;
    if (parting.farewellWaits) return this.needFlow().later.askForDevice(-1); // at once, or a node that hangs holds the end up
    if (parting.nodeFinished) return this.connection.close('flush'); // nobody will answer
    parting.isFarewell = true;
    this.monitor = undefined;
    this.upstream.giveUpMove();
    this.session.deviceFinished();
    wire.setTimer(host.limits.halfCloseTimeoutMs);
    if (parting.finished) wire.finishNode(this.upstream.link);
  }

  /** What the broker has said is on its way to the device; or it is closed without a word, as brokers of 3.1.1 do. */
  nodeEnded(cause: EndCause): void {
    this.needParting().purges = false; // what the node has under this client id by now may be another connection's
    this.connection.because(nodeEndOf(cause));
    this.connection.close(cause === 'fin' ? 'flush' : 'reset');
  }

  nodeFinished(): void {
    finishDevice(this);
  }

  end(reason: EndReason, said?: string | Uint8Array): void {
    endDevice(this, reason, said);
  }

  /** The session that a node has under this client id is the newer connection's by now: it is not purged (rule 14). */
  superseded(): void {
    this.needParting().purges = false;
    if (!this.parting.nodeFinished) this.upstream.superseded();
  }

  takenOver(isWhole: boolean): void {
    // A node that has not closed its link to it may fire the Will of a device that is alive (rule 13).
    if (!this.parting.isHalfClosed) this.needParting().closeMode = 'goodbye';
    if (isWhole) this.end('taken-over');
    else this.endInTheMiddle('taken-over');
  }

  endInTheMiddle(reason: EndReason): void {
    this.connection.because(reason);
    this.connection.close('reset');
  }

  leave(): void {
    this.adrift();
    this.upstream.leave(this.parting.closeMode, this.parting.purges);
  }

  closed(): void {
    this.upstream.closed();
    this.session.wipe();
  }

  // ---- between processes -----------------------------------------------------------------------------------

  /** While a node serves, or none is asked, and nothing else is under way. */
  describe(): HandedSessionForwarder | undefined {
    const { session, upstream, monitor, flow, deaths, parting } = this;
    return describeForwarder(
      { session, upstream, monitor, flow, deaths, parting },
      this.connection.host.now(),
    );
  }

  /** `route` is that of `handed.upstream`, and `target` the node. */
  static revive(
    connection: ForwarderHost,
    connect: Connect,
    route: PoolRoute,
    target: Target,
    handed: HandedSessionForwarder,
  ): SessionForwarder {
    const { host } = connection;
    const forwarder = new SessionForwarder(connection, connect, route, handed.session);
    forwarder.upstream.revive(target, handed.upstream);
    if (handed.flow.holdsDevice || handed.flow.isPaused || forwarder.flow)
      forwarder.needFlow().revive(handed.flow);
    if (handed.deaths.origin !== '' || handed.deaths.isSudden) forwarder.needDeaths().revive(handed.deaths);
    forwarder.monitor = handed.monitor && KeepAliveMonitor.revive(forwarder, handed.monitor, host.now());
    forwarder.parting = revivedParting(handed);
    return forwarder;
  }

  departed(): void {
    this.deaths?.over();
    this.closed();
  }
}
