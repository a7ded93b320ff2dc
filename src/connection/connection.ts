import type { GrowableBuffer } from '../base/growable-buffer.ts';
import { FREE_BYTES, type PendingHolder } from '../policy/admission/pending-bytes.ts';
import { type ConnectSummary, decodeConnect, summaryOf } from '../protocol/mqtt/connect.ts';
import { refusalConnack } from '../protocol/mqtt/reason-codes.ts';
import { closingOf, deviceEndOf, TAKEOVER_MS } from './close-reasons.ts';
import type { ConnectionHost, ConnectionView, EndReason, PoolRoute } from './connection-host.ts';
import type { Forwarder, ForwarderHost } from './forwarder.ts';
import { Greeting } from './greeting.ts';
import type { HandedMqtt } from './handed.ts';
import { connectIn, handedRoute, handedTarget, sessionPlace } from './handed-place.ts';
import { HANDED_VERSION } from './handed-version.ts';
import { hasTimeAgain } from './last-bytes.ts';
import { Relay, Search } from './relay.ts';
import { SessionForwarder } from './session-forwarder.ts';
import { stepBack } from './step-back.ts';
import type { EndCause, Link, Peer, Target, Wire, WireEvents } from './wire.ts';

/**
 * The life of one device connection, without I/O:
 *
 *   greeting ──CONNECT──► held-back ──► recalling ──► carried ──► closing
 *
 * `held-back` is for a device that connects over and over. `recalling` waits, never for long, for where the device was served last; most pools do not ask. Then `Relay` or
 * `SessionForwarder` finds the device its node, trying candidates until one answers, and carries it until one side ends.
 */
type Phase = 'greeting' | 'held-back' | 'recalling' | 'carried' | 'closing';

/** The newest connection that the broker has accepted for the client id of an older one. */
interface Rival {
  /** On the host's clock. */
  readonly acceptedAtMs: number;
  /** As far as anybody can know, it is, or one before it was, of the same device. */
  readonly isSame: boolean;
}

/**
 * Three kinds of methods, in the order in which they are called:
 *
 * 1. What the engine tells (`WireEvents`). After the constructor: `deviceData` and `deviceEnded` in the order of the socket;
 *    for each link that `wire.dial` gave `linkOpened` or `linkFailed` first, then `linkData` and once `linkEnded`; `timer` when
 *    the time that was last set is over. `closed` comes once, and nothing after it.
 * 2. What its host tells: `recalled`, the answer to `host.recall`, at most once; `superseded`, `giveWay` and `end` at any time.
 * 3. What its forwarder asks (`ForwarderHost`): `placed` once, when a node serves the device; `because`, of which the first
 *    reason stays; then `refuse` or `close`, after which the forwarder is only told `leave`, `timer` and `closed`.
 *
 * It calls the host in this order: `route`, `reconnectDelayMs`, perhaps `recall`; `placed` or `rejected`; `left`; `ended`. The life
 * cycle is drawn in `LIFECYCLE.md`.
 */
export class Connection implements WireEvents, ConnectionView, PendingHolder, ForwarderHost {
  readonly wire: Wire;
  readonly host: ConnectionHost;
  readonly peer: Peer;
  connect: ConnectSummary | undefined;
  route: PoolRoute | undefined;
  /** When the device was served, on the host's clock, in whole milliseconds; 0 before. */
  placedAtMs = 0;
  /** Of its own in this proxy, from when it is served. */
  number = 0;
  /** Its place in the set of connections that are open (`SwapRemoveSet`); written by that only. */
  setIndex = -1;
  /** When the broker accepted it, by the clock that all threads share; 0 before. A re-attach does not change it. */
  acceptedAtMs = 0;
  who = 0;
  /** A newer connection of the client id was accepted in this pool. */
  private rival: Rival | undefined;

  private phase: Phase = 'greeting';
  private reason: EndReason | undefined;
  /** Until the device is served. */
  private greeting: Greeting | undefined = new Greeting();
  private forwarder: Forwarder | undefined;

  /** @param isNew false: it comes from another process, and so does its timer */
  constructor(wire: Wire, peer: Peer, host: ConnectionHost, isNew = true) {
    this.wire = wire;
    this.peer = peer;
    this.host = host;
    if (isNew) wire.setTimer(host.limits.connectTimeoutMs);
  }

  /** The node that serves the device, or is asked to. */
  get target(): Target | undefined {
    return this.forwarder?.target;
  }

  get clientId(): string {
    return this.forwarder?.assignedClientId ?? this.connect?.clientId ?? '';
  }

  get isSuperseded(): boolean {
    return this.rival?.isSame ?? false;
  }

  get isTakenOver(): boolean {
    const { rival, host } = this;
    return rival !== undefined && (rival.isSame || host.now() - rival.acceptedAtMs < TAKEOVER_MS);
  }

  get session(): SessionForwarder | undefined {
    return this.forwarder instanceof SessionForwarder ? this.forwarder : undefined;
  }

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    if (this.phase === 'carried') return this.forwarder?.deviceData(bytes, start, end);
    const { greeting } = this;
    const held = greeting?.held;
    if (greeting === undefined || held === undefined) return;
    held.append(bytes, start, end);
    this.host.pending(this, held.length);
    if (this.phase === 'greeting') this.greet(greeting, held);
    else if (held.length > this.host.limits.maxPacketBytes) this.hold(greeting, true);
  }

  /** Devices that no node has accepted keep too many bytes together, and this one keeps the most of them. */
  giveWay(): void {
    if (this.greeting?.held === undefined) return;
    this.wire.guard(() => this.refuse('pending-bytes', undefined, 'connect-rejected'));
  }

  private hold(greeting: Greeting, hold: boolean): void {
    greeting.isHolding = hold;
    this.wire.holdDevice(hold);
  }

  private greet(greeting: Greeting, held: GrowableBuffer): void {
    const result = decodeConnect(held.bytes, 0, held.length, this.host.limits.maxPacketBytes);
    if (result.kind === 'incomplete') return;
    if (result.kind === 'refused') return this.refuse(result.fault, result.reply, 'connect-rejected');
    const { connect } = result;
    this.connect = connect;
    greeting.connect = connect;
    greeting.connectEnd = result.end;
    greeting.connectAtMs = this.host.now();
    const route = this.host.route(connect, this.peer);
    if (typeof route === 'string') {
      return this.refuse(route, refusalConnack(connect.protocolVersion, route), 'connect-rejected');
    }
    this.route = route;
    const waitMs = this.host.reconnectDelayMs(connect, this.peer);
    if (waitMs === 0) return this.recall(connect, route);
    this.phase = 'held-back';
    this.wire.setTimer(waitMs);
  }

  private recall({ clientId }: ConnectSummary, route: PoolRoute): void {
    // An empty client id belongs to no device: the node, or we, will choose one that nobody else has.
    if (route.recallTimeoutMs === 0 || clientId === '') return this.carry(undefined);
    this.phase = 'recalling';
    this.wire.setTimer(route.recallTimeoutMs);
    this.host.recall(this, this);
  }

  recalled(nodeId: string | undefined): void {
    if (this.phase === 'recalling') this.wire.guard(() => this.carry(nodeId));
  }

  private carry(preferred: string | undefined): void {
    const { greeting, route, host } = this;
    const { held, connect } = greeting ?? {};
    if (greeting === undefined || held === undefined || connect === undefined || route === undefined) return;
    this.phase = 'carried';
    this.letGo();
    if (greeting.isHolding) this.hold(greeting, false); // from here on it is the forwarder's
    if ((route.mode ?? host.mode) === 'relay') {
      this.connect = summaryOf(connect);
      this.forwarder = new Relay(this, new Search(this.connect, held));
    } else {
      const raw = held.bytes.subarray(0, greeting.connectEnd);
      this.forwarder = new SessionForwarder(this, connect, route, raw);
      this.forwarder.deviceData(held.bytes, greeting.connectEnd, held.length);
    }
    if (greeting.deviceFin) this.forwarder.deviceEnded('fin');
    this.forwarder.place(preferred ?? this.peer.request?.preferredNode); // unless what was held has ended it
  }

  deviceEnded(cause: EndCause): void {
    this.because(deviceEndOf[cause]);
    if (this.phase === 'carried') return this.forwarder?.deviceEnded(cause);
    if (cause === 'tls' || cause === 'websocket') {
      this.host.rejected(cause === 'tls' ? 'tls-failed' : 'websocket-refused', this);
      return this.close(closingOf(cause));
    }
    const waits = this.phase === 'held-back' || this.phase === 'recalling';
    if (cause === 'fin' && waits && this.greeting !== undefined)
      this.greeting.deviceFin = true; // what it said before goes to a node all the same
    else this.close('reset');
  }

  linkOpened(link: Link): void {
    this.forwarder?.linkOpened(link);
  }

  linkFailed(link: Link, errno: string): void {
    this.forwarder?.linkFailed(link, errno);
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    this.forwarder?.linkData(link, bytes, start, end);
  }

  linkEnded(link: Link, cause: EndCause): void {
    this.forwarder?.linkEnded(link, cause);
  }

  timer(): void {
    if (this.phase === 'greeting') return this.refuse('connect-timeout', undefined, 'connect-timeout');
    const { connect, route } = this;
    if (this.phase === 'held-back' && connect && route) return this.recall(connect, route);
    if (this.phase === 'recalling') return this.carry(undefined);
    if (this.phase === 'carried') return this.forwarder?.timer();
    if (hasTimeAgain(this)) return;
    this.wire.endDevice('reset'); // it was flushed, and has had its time
    this.forwarder?.leave();
  }

  /** Ends the connection from outside. @param serverReference where the device is to go instead (MQTT 5) */
  end(reason: EndReason, serverReference?: string): void {
    if (this.phase === 'closing') return;
    this.wire.guard(() => {
      if (this.forwarder !== undefined) return this.forwarder.end(reason, serverReference);
      this.because(reason);
      this.close('flush');
    });
  }

  /**
   * The broker has accepted a newer connection of the client id. This ends no connection here: whether it was a
   * takeover is for the broker to say, by what it does to the link. `isSame`: as far as anybody can know, it is the
   * same device.
   */
  superseded(isSame: boolean): void {
    const wasSuperseded = this.isSuperseded;
    this.rival = { acceptedAtMs: this.host.now(), isSame: isSame || wasSuperseded };
    if (!isSame || wasSuperseded) return;
    this.wire.guard(() => this.forwarder?.superseded());
  }

  placed(isAccepted: boolean): void {
    const { greeting, host } = this;
    const nowMs = host.now();
    this.placedAtMs = wholeMs(nowMs);
    this.greeting = undefined;
    host.placed(this, isAccepted, nowMs - (greeting?.connectAtMs ?? nowMs));
  }

  because(reason: EndReason): void {
    this.reason ??= reason;
  }

  refuse(label: string, reply: Uint8Array | undefined, reason: EndReason): void {
    this.host.rejected(label, this);
    this.because(reason);
    if (reply === undefined) return this.close('reset');
    this.wire.toDevice(reply, 0, reply.length);
    this.close('flush');
  }

  close(how: 'flush' | 'reset'): void {
    if (this.phase === 'closing') return;
    this.beginToClose();
    // A device that does not read its last bytes may not hold the socket for ever.
    this.wire.setTimer(how === 'flush' ? this.host.limits.halfCloseTimeoutMs : 0);
    this.forwarder?.leave();
    this.wire.endDevice(how);
  }

  closed(bytesFromDevice: number, bytesToDevice: number): void {
    if (this.phase !== 'closing') this.beginToClose();
    this.forwarder?.closed();
    this.host.ended(this, this.reason ?? 'device-closed', bytesFromDevice, bytesToDevice);
  }

  // ---- between processes -----------------------------------------------------------------------------------

  /** Its thread ends: what no node has answered is begun anew by the next one. Then `describe` is called, and nothing else. */
  stepBack(): void {
    const { phase, greeting, forwarder } = this;
    const unserved = phase === 'carried' ? stepBack(forwarder) : undefined;
    if (greeting === undefined || (phase !== 'recalling' && unserved === undefined)) return;
    if (unserved !== undefined) greeting.stepBack(unserved);
    this.phase = 'held-back';
    this.wire.setTimer(1);
  }

  /**
   * What another process needs to go on with it: a plain value, which has secrets in it. Undefined: not now, because it is in
   * the middle of something. Nothing changes in either case.
   */
  describe(): HandedMqtt | undefined {
    const state = this.describeHeld() ?? this.describeCarried();
    return state && { version: HANDED_VERSION, kind: 'mqtt', reason: this.reason, state };
  }

  private describeHeld(): HandedMqtt['state'] | undefined {
    const { phase, greeting, host } = this;
    if (greeting?.held === undefined || greeting.held.length > FREE_BYTES) return undefined;
    const { held: buffer, connectAtMs, deviceFin, isHolding } = greeting;
    const held = buffer.copy;
    if (phase === 'greeting') return { phase, held };
    if (phase !== 'held-back' || this.route === undefined) return undefined;
    const connectAgoMs = host.now() - connectAtMs;
    return { phase, held, pool: this.route.name, connectAgoMs, deviceFin, isHolding };
  }

  private describeCarried(): HandedMqtt['state'] | undefined {
    const { phase, route, host, placedAtMs, rival } = this;
    if (phase !== 'carried' || route === undefined || placedAtMs === 0) return undefined;
    const forwarder = this.forwarder?.describe();
    if (forwarder === undefined) return undefined;
    const { number, acceptedAtMs, who } = this;
    const nowMs = host.now();
    return {
      ...{ phase, pool: route.name, number, acceptedAtMs, who, forwarder },
      placedAgoMs: nowMs - placedAtMs,
      rival: rival && { acceptedAgoMs: nowMs - rival.acceptedAtMs, isSame: rival.isSame },
    };
  }

  /**
   * The connection that another process has described, on a wire that is frozen, and whose timer goes on.
   * @throws BreakwaterError POOL_UNKNOWN or NODE_UNKNOWN; then nothing has changed
   */
  static revive(wire: Wire, peer: Peer, host: ConnectionHost, { reason, state }: HandedMqtt): Connection {
    const connection = new Connection(wire, peer, host, false);
    connection.reason = reason;
    if (state.phase === 'carried') connection.reviveCarried(state);
    else connection.reviveHeld(state);
    return connection;
  }

  private reviveHeld(state: Exclude<HandedMqtt['state'], { phase: 'carried' }>): void {
    const { peer, host, greeting } = this;
    const { held } = state;
    greeting?.held?.append(held, 0, held.length);
    if (greeting === undefined || state.phase === 'greeting') return;
    const { connect, end } = connectIn(held);
    this.route = handedRoute(host, state.pool, connect, peer);
    this.connect = connect;
    greeting.connect = connect;
    greeting.connectEnd = end;
    greeting.connectAtMs = host.now() - state.connectAgoMs;
    greeting.deviceFin = state.deviceFin;
    greeting.isHolding = state.isHolding;
    this.phase = 'held-back';
  }

  private reviveCarried(state: Extract<HandedMqtt['state'], { phase: 'carried' }>): void {
    const { peer, host } = this;
    const { pool, placedAgoMs, rival, forwarder } = state;
    const from =
      forwarder.kind === 'relay'
        ? ({ kind: 'relay', forwarder, connect: forwarder.connect, pool, node: forwarder.node } as const)
        : { kind: forwarder.kind, forwarder, ...sessionPlace(forwarder) };
    const { connect } = from;
    const present = handedRoute(host, from.pool, connect, peer);
    const target = handedTarget(present, from.node, peer);
    const route =
      present.name === pool ? present : (host.routeTo(pool, connect, peer) ?? { ...present, name: pool });
    const nowMs = host.now();
    this.phase = 'carried';
    this.greeting = undefined;
    this.connect = connect;
    this.route = route;
    this.number = state.number;
    this.placedAtMs = wholeMs(nowMs - placedAgoMs);
    this.acceptedAtMs = state.acceptedAtMs;
    this.who = state.who;
    this.rival = rival && { acceptedAtMs: nowMs - rival.acceptedAgoMs, isSame: rival.isSame };
    this.forwarder =
      from.kind === 'relay'
        ? Relay.revive(this, target, from.forwarder)
        : SessionForwarder.revive(this, from.connect, present, target, from.forwarder);
    host.revived(this);
  }

  /** Another process goes on with it. Nobody is told that it ended, and nothing may be called any more. */
  departed(): void {
    this.letGo();
    this.forwarder?.departed();
    this.host.departed(this);
  }

  private beginToClose(): void {
    this.phase = 'closing';
    this.letGo();
    this.host.left(this);
  }

  /** The bytes that the device has sent are handed to the forwarder, or are dropped. */
  private letGo(): void {
    if (this.greeting?.held === undefined) return;
    this.host.pending(this, 0);
    this.greeting.held = undefined;
  }
}

/** Other numbers than small integers take memory of their own. Never 0. */
function wholeMs(ms: number): number {
  return Math.floor(ms) || 1;
}
