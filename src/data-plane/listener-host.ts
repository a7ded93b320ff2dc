import { sharedTime } from '../base/time.ts';
import type { LimitsConfig } from '../config/config.ts';
import { Connection } from '../connection/connection.ts';
import type {
  ConnectionHost,
  ConnectionView,
  DialFailure,
  EndReason,
  MigrationResult,
  MoveCause,
  Recaller,
  PoolRoute as Route,
} from '../connection/connection-host.ts';
import type { Asker, Evidence } from '../connection/evidence.ts';
import type { HandedConnection } from '../connection/handed.ts';
import { OpaqueConnection } from '../connection/opaque.ts';
import { RejectingConnection } from '../connection/rejecting-connection.ts';
import { WebSocketLayer } from '../connection/websocket/layer.ts';
import type { UpgradeHook } from '../connection/websocket/upgrade.ts';
import type { Peer, Target, Wire, WireEvents } from '../connection/wire.ts';
import type { DeviceOrder, Whom } from '../data-plane-api/device-order.ts';
import type { ClientAnswer, ClientFilter, ListenerSettings, MoveTally } from '../data-plane-api/messages.ts';
import { lossReasons } from '../journal/loss-reasons.ts';
import {
  type ConnectionLimiter,
  type LimiterRefusal,
  limiterRefusals,
} from '../policy/admission/connection-limiter.ts';
import type { PendingHolder } from '../policy/admission/pending-bytes.ts';
import type { Refusal } from '../policy/routing/rules.ts';
import type { Connect } from '../protocol/mqtt/connect.ts';
import type { Suspect } from '../session/index.ts';
import { acceptClient, clientEnded, clientMoved, deviceNumber, deviceOf } from './accepted-clients.ts';
import { Subject } from './banned.ts';
import { listed, meantBy } from './client-list.ts';
import { addressOf, nameOf } from './client-record.ts';
import { countTraffic } from './count-traffic.ts';
import {
  clientDeparted,
  clientRevived,
  describeClient,
  type HandedClient,
  reviveConnection,
} from './handed-clients.ts';
import { type Mover, moveAll, moveSome } from './move-orders.ts';
import { isAmong, type PoolRoute } from './pool-route.ts';
import { ruleInput } from './rule-input.ts';
import { SwapRemoveSet } from './swap-remove-set.ts';
import type { Trials } from './trials.ts';
import { upgradeCookies } from './upgrade-cookies.ts';
import type { WorkerContext } from './worker-context.ts';

/** A connection of any kind that a listener has. */
type Carried = Connection | OpaqueConnection;

/** Places the connections of one listener, counts them, and reports them to the main thread. */
export class ListenerHost implements ConnectionHost {
  readonly messages: Float64Array;
  readonly traffic: Float64Array;
  readonly now: () => number;
  readonly random: () => number;
  private readonly context: WorkerContext;
  listener: ListenerSettings;
  private limiter: ConnectionLimiter;
  /** Every open connection, from accept on. */
  readonly open = new SwapRemoveSet<Carried>();

  constructor(context: WorkerContext, listener: ListenerSettings, limiter: ConnectionLimiter) {
    this.limiter = limiter;
    this.context = context;
    this.listener = listener;
    this.messages = context.table.messages;
    this.traffic = context.table.traffic;
    this.now = context.now;
    this.random = context.random;
  }

  get limits(): LimitsConfig {
    return this.context.limits;
  }

  get sessionLimits(): LimitsConfig {
    return this.context.limits;
  }

  get mode(): 'relay' | 'session' {
    return this.listener.mode;
  }

  /** The listener as it is configured now: for devices that connect from now on. */
  applySettings(listener: ListenerSettings, limiter: ConnectionLimiter): void {
    this.listener = listener;
    this.limiter = limiter;
  }

  /** Makes the connection of a new device; `undefined` when it may not connect. */
  accept(wire: Wire, peer: Peer): WireEvents | undefined {
    const { table } = this.context;
    table.countAccepted(this.listener.index);
    const isFull = table.countDevice(1) >= this.limits.maxConnections;
    const refusal = isFull ? 'max-connections' : this.limiter.admit(peer, sharedTime(this.now()));
    if (refusal !== undefined) return this.turnAway(wire, refusal);
    const { websocket, opaque } = this.listener;
    if (opaque !== undefined) return this.beginOpaque(wire, peer, opaque === 'tls');
    if (websocket === undefined) return this.begin(wire, peer);
    const layer = new WebSocketLayer(wire, peer, websocket, this.onUpgrade);
    layer.carry(this.begin(layer, layer.peer));
    return layer;
  }

  /**
   * Resets the device at once, unless it is one of the few that get the reason in a CONNACK. TLS would cost too
   * much for that.
   */
  private turnAway(wire: Wire, refusal: LimiterRefusal | 'max-connections'): WireEvents | undefined {
    const { table, rejectionBudget } = this.context;
    const { tls, websocket, opaque } = this.listener;
    table.countDevice(-1);
    table.countRejected(refusal);
    const speaksMqtt = tls === undefined && websocket === undefined && opaque === undefined;
    if (!speaksMqtt || rejectionBudget?.take(1, this.now()) !== true) return undefined;
    return new RejectingConnection(
      wire,
      refusal === 'max-connections' ? 'quota-exceeded' : limiterRefusals[refusal],
    );
  }

  private begin(wire: Wire, peer: Peer): Connection {
    const connection = new Connection(wire, peer, this);
    this.open.add(connection);
    return connection;
  }

  private beginOpaque(wire: Wire, peer: Peer, passesTls: boolean): OpaqueConnection {
    const connection = new OpaqueConnection(wire, peer, this);
    this.open.add(connection);
    connection.begin(passesTls);
    return connection;
  }

  /** What another process needs to go on with one of the open connections; undefined: not now. */
  describe(connection: Carried): HandedClient | undefined {
    return describeClient(this.context, connection);
  }

  /**
   * Goes on with what another process has described, whatever the limits say. It is not among those that are open yet.
   * @throws BreakwaterError NODE_UNKNOWN, POOL_UNKNOWN, HANDOVER_INVALID; then nothing has changed
   */
  revive(wire: Wire, peer: Peer, state: HandedConnection): ReturnType<typeof reviveConnection> {
    const revived = reviveConnection(state, wire, peer, this, this.listener.websocket, this.onUpgrade);
    this.context.table.countDevice(1);
    this.limiter.readmit(peer);
    return revived;
  }

  /** Finds the route of a device that has not sent its CONNECT, by the rules that need none. */
  private readonly onUpgrade: UpgradeHook = (peer, cookie) => {
    const route = this.route({}, peer);
    return typeof route === 'string' ? { headers: [] } : upgradeCookies(route, peer, cookie);
  };

  route(connect: Partial<Connect>, peer: Peer): PoolRoute | Refusal {
    const { bans } = this.context;
    if (bans.size === 0) return this.routeByRules(connect, peer);
    const banned = bans.find(new Subject(connect.clientId, connect.username, peer), Date.now());
    return banned === undefined ? this.routeByRules(connect, peer) : 'banned';
  }

  /** Bans are for those who come: who is connected may stay. */
  private routeByRules(connect: Partial<Connect>, peer: Peer): PoolRoute | Refusal {
    const { routes, decide } = this.context;
    const decision = decide?.(ruleInput(connect, peer, this.listener.url));
    if (decision !== undefined && 'reject' in decision) return decision.reject;
    const route =
      decision?.pool === undefined
        ? routes[this.listener.pool]
        : routes.find((candidate) => candidate?.name === decision.pool);
    if (route === undefined) return 'server-unavailable';
    return decision === undefined ? route : route.as(decision);
  }

  follow(route: Route, connect: Connect, peer: Peer): Route {
    const next = isAmong(this.context.routes, route) ? route : this.routeByRules(connect, peer);
    return typeof next === 'string' ? route : next;
  }

  routeTo(pool: string, connect: Partial<Connect>, peer: Peer): PoolRoute | undefined {
    const present = this.routeByRules(connect, peer);
    if (typeof present !== 'string' && present.name === pool) return present;
    return this.context.routes.find((candidate) => candidate?.name === pool);
  }

  /** The pool of the connection is gone, and the present rules give it no other. */
  private isForsaken({ route, connect, peer }: Carried): boolean {
    const isGone = connect !== undefined && route !== undefined && !isAmong(this.context.routes, route);
    return isGone && typeof this.routeByRules(connect, peer) === 'string';
  }

  pending(holder: PendingHolder, bytes: number): void {
    this.context.pending.set(holder, bytes);
  }

  reconnectDelayMs({ clientId }: Connect, peer: Peer): number {
    const { reconnectThrottle, table } = this.context;
    const ms = reconnectThrottle(clientId, peer, sharedTime(this.now()));
    if (ms > 0) table.count('connectsHeldBack', 1);
    return ms;
  }

  get trials(): Trials {
    return this.context.trials;
  }

  convicted({ clientId, peer }: ConnectionView, suspect: Suspect): void {
    this.context.reconnectThrottle(clientId, peer, sharedTime(this.now()), Number.POSITIVE_INFINITY);
    this.context.tell({ type: 'convicted', clientId, remoteAddress: addressOf(peer), suspect });
  }

  recall(connection: ConnectionView, asker: Recaller): void {
    const { pool, clientId } = deviceOf(connection);
    this.context.affinityLookups.ask(pool, clientId, asker);
  }

  get turns(): WorkerContext['turns'] {
    return this.context.turns;
  }

  get scouts(): WorkerContext['scouts'] {
    return this.context.scouts;
  }

  reattached(connection: Connection, reattachment: MigrationResult, connackMs: number): void {
    const { clientId, connection: number, remoteAddress } = this.nameOf(connection);
    this.context.tell({
      ...{ type: 'reattached', clientId, connection: number, remoteAddress },
      ...{ reattachment, connackMs },
    });
    if (reattachment.to === undefined) return;
    countTraffic(this.listener.index, connection);
    clientMoved(this.context, connection);
  }

  take(target: Target): boolean {
    return this.context.table.takeConnection(this.listener.index, target.slot);
  }

  queue({ slot }: Target, connectQueue: number): number | undefined {
    const { table, scheduler, threads } = this.context;
    const rate = table.connectRate(slot);
    if (rate === 0) return 0;
    const ms = scheduler.queue(slot, rate / threads, Math.ceil(connectQueue / threads));
    if (ms !== undefined && ms > 0) table.count('connectsQueued', 1);
    return ms;
  }

  takeServed(target: Target): void {
    this.context.table.takeServed(this.listener.index, target.slot);
  }

  release(target: Target): void {
    this.context.table.releaseConnection(this.listener.index, target.slot);
  }

  dialFailed(target: Target, failure: DialFailure, detail: string): void {
    this.context.tell({ type: 'dial-failed', node: target.nodeId, failure, detail });
  }

  dialled(target: Target, ms: number): void {
    this.context.table.observeDial(ms / 1000);
    this.context.tell({ type: 'dialled', node: target.nodeId });
  }

  placed(connection: Carried, isAccepted: boolean, connackAfterMs = 0): void {
    connection.number = this.context.table.nextNumber();
    connection.wire.numbered(connection.number);
    countTraffic(this.listener.index, connection);
    if (!(connection instanceof OpaqueConnection)) {
      this.context.owners.add(connection);
      if (isAccepted) acceptClient(this.context, connection);
      if (isAccepted) this.context.memories.opened(connection);
      if (isAccepted) this.context.table.observeConnect(connackAfterMs / 1000);
    }
    if (!this.context.verbose) return;
    const protocolVersion = connection.connect?.protocolVersion;
    this.context.tell({ type: 'placed', ...this.nameOf(connection), protocolVersion });
  }

  revived(connection: Carried): void {
    connection.wire.numbered(connection.number);
    countTraffic(this.listener.index, connection);
    clientRevived(this.context, connection);
  }

  departed(connection: Carried): void {
    this.close(connection);
    clientDeparted(this.context, connection);
  }

  private close(connection: Carried): void {
    this.open.delete(connection);
    this.limiter.release(connection.peer);
    this.context.table.countDevice(-1);
  }

  left(connection: Connection): void {
    this.context.memories.left(connection);
  }

  linkLost(connection: ConnectionView, { nodeId, slot }: Target): void {
    const { lostLinks, table } = this.context;
    lostLinks.lost(nodeId, deviceNumber(connection), table.liveAt(slot));
  }

  nodeSpoke({ slot }: Target): void {
    this.context.spokenAtMs.set(slot, this.now());
  }

  hasSpoken({ slot }: Target, sinceMs: number): boolean {
    return (this.context.spokenAtMs.get(slot) ?? Number.NEGATIVE_INFINITY) >= sinceMs;
  }

  evidence(asker: Asker): Evidence | undefined {
    return this.context.lostLinks.evidence(asker, sharedTime(asker.attachedAtMs));
  }

  forget(asker: Asker): void {
    this.context.lostLinks.forget(asker);
  }

  rejected(reason: string, connection: ConnectionView): void {
    this.context.table.countRejected(reason);
    if (!this.context.verbose) return;
    const remoteAddress = addressOf(connection.peer);
    const clientId = connection.connect?.clientId;
    this.context.tell({ type: 'rejected', reason, clientId, listener: this.listener.index, remoteAddress });
  }

  ended(connection: Carried, reason: EndReason, bytesFromDevice: number, bytesToDevice: number): void {
    const { table, verbose, tell, now } = this.context;
    this.close(connection);
    if (connection.placedAtMs === 0) return table.countUnserved(bytesFromDevice, bytesToDevice);
    table.countEnded(reason);
    if (!(connection instanceof OpaqueConnection)) clientEnded(this.context, connection);
    if (!verbose && !lossReasons.has(reason)) return; // incidents count those of a lost node
    const durationMs = now() - connection.placedAtMs;
    tell({ type: 'ended', ...this.nameOf(connection), reason, durationMs, bytesFromDevice, bytesToDevice });
  }

  private nameOf(connection: Carried) {
    return { ...nameOf(connection), listener: this.listener.index };
  }

  /** As `moveSome` of `move-orders.ts`. */
  moveSome(node: string, count: number, cause: MoveCause, to: string | undefined): MoveTally {
    return moveSome(this.open, { node, count, cause, to }, this.mover);
  }

  /** As a person orders it. */
  move({ whom, to, untilMs }: Extract<DeviceOrder, { type: 'move' }>): MoveTally {
    return moveAll(this.meantUntil(whom, untilMs), to, this.mover);
  }

  private readonly mover: Mover = {
    moveAway: (connection, cause, to) => this.moveAway(connection, cause, to),
    isForsaken: (connection) => this.isForsaken(connection),
  };

  private moveAway(connection: Connection, cause: MoveCause, to: string | undefined) {
    if (this.context.memories.isAwaiting(connection)) return 'later';
    return connection.wire.guard(() => connection.session?.moveAway(cause, to));
  }

  private meant(whom: Whom): Iterable<Connection> {
    return meantBy(whom, this.open, this.context.owners);
  }

  endAll(reason: EndReason): void {
    for (const connection of this.open) connection.end(reason);
  }

  /** Ends connections; returns how many. */
  kick({ whom, untilMs }: Extract<DeviceOrder, { type: 'kick' }>): number {
    const meant = this.meantUntil(whom, untilMs);
    for (const connection of meant) connection.end('kicked');
    return meant.length;
  }

  private meantUntil(whom: Whom, untilMs: number): readonly Connection[] {
    return [...this.meant(whom)].filter(({ acceptedAtMs }) => acceptedAtMs <= untilMs);
  }

  clients(filter: ClientFilter): ClientAnswer {
    const { whom } = filter;
    const from = whom === undefined ? this.open : this.meant(whom);
    return listed(from, filter, this.listener.index, this.now());
  }
}
