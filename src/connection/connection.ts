import { GrowableBuffer } from '../base/growable-buffer.ts';
import type { PendingHolder } from '../policy/admission/pending-bytes.ts';
import { type Connect, decodeConnect } from '../protocol/mqtt/connect.ts';
import { refusalConnack } from '../protocol/mqtt/reason-codes.ts';
import type { Carrier, Shell } from './carrier.ts';
import { closingOf, TAKEOVER_MS } from './ends.ts';
import { Relay } from './relay.ts';
import { SessionCarrier } from './session-carrier.ts';
import type { Conversation, EndCause, Link, Peer, Target, Wire } from './wire.ts';
import type { ConnectionView, EndReason, PoolRoute, World } from './world.ts';

/**
 * The life of one device connection, without I/O:
 *
 *   greeting ──CONNECT──► held-back ──► recalling ──► carried ──► closing
 *
 * `held-back` is for a device that connects over and over. `recalling` waits, never for long, for where the device was served last; most pools do not ask. Then `Relay` or
 * `SessionCarrier` finds the device its node, trying candidates until one answers, and carries it until one side ends.
 */
type Phase = 'greeting' | 'held-back' | 'recalling' | 'carried' | 'closing';

const DEVICE_END: Readonly<Record<EndCause, EndReason>> = {
  fin: 'device-closed',
  reset: 'device-reset',
  timeout: 'device-timeout',
  tls: 'tls-failed',
  websocket: 'protocol-error',
  error: 'device-timeout',
};

export class Connection implements Conversation, ConnectionView, PendingHolder, Shell {
  readonly wire: Wire;
  readonly world: World;
  readonly peer: Peer;
  connect: Connect | undefined;
  route: PoolRoute | undefined;
  /** When the device was served, on the world's clock; 0 before. */
  placedAtMs = 0;
  /** Of its own in this proxy, from when it is served. */
  number = 0;
  /** Where it stands among those that are open: their keeper's business. */
  rosterAt = -1;
  /** When the broker accepted it, by the clock that all threads share; 0 before. A re-attach does not change it. */
  acceptedAtMs = 0;
  who = 0;
  isSuperseded = false;
  /** When a newer connection of the client id was last accepted in this pool, on the world's clock. */
  private rivalledAtMs: number | undefined;

  private phase: Phase = 'greeting';
  private reason: EndReason | undefined;
  /** What the device sent until it is carried: CONNECT first. */
  private held: GrowableBuffer | undefined = new GrowableBuffer();
  /** Where CONNECT ends in `held`. */
  private connectEnd = 0;
  private carrier: Carrier | undefined;
  private deviceFin = false;
  private isHolding = false;

  constructor(wire: Wire, peer: Peer, world: World) {
    this.wire = wire;
    this.peer = peer;
    this.world = world;
    wire.setTimer(world.limits.connectTimeoutMs);
  }

  /** The node that serves the device, or is asked to. */
  get target(): Target | undefined {
    return this.carrier?.target;
  }

  get clientId(): string {
    return this.carrier?.assignedClientId ?? this.connect?.clientId ?? '';
  }

  get isTakenOver(): boolean {
    const { isSuperseded, rivalledAtMs, world } = this;
    return isSuperseded || (rivalledAtMs !== undefined && world.now() - rivalledAtMs < TAKEOVER_MS);
  }

  get session(): SessionCarrier | undefined {
    return this.carrier instanceof SessionCarrier ? this.carrier : undefined;
  }

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    if (this.phase === 'carried') return this.carrier?.deviceData(bytes, start, end);
    const { held } = this;
    if (held === undefined) return;
    held.append(bytes, start, end);
    this.world.pending(this, held.length);
    if (this.phase === 'greeting') this.greet(held);
    else if (held.length > this.world.limits.maxPacketBytes) this.hold(true);
  }

  /** It keeps the most of all that no node has accepted, and all together keep too much. */
  giveWay(): void {
    if (this.held !== undefined) this.refuse('pending-bytes', undefined, 'connect-rejected');
  }

  private hold(hold: boolean): void {
    this.isHolding = hold;
    this.wire.holdDevice(hold);
  }

  private greet(held: GrowableBuffer): void {
    const result = decodeConnect(held.bytes, 0, held.length, this.world.limits.maxPacketBytes);
    if (result.kind === 'incomplete') return;
    if (result.kind === 'refused') return this.refuse(result.fault, result.reply, 'connect-rejected');
    const { connect } = result;
    this.connect = connect;
    this.connectEnd = result.end;
    const route = this.world.route(connect, this.peer);
    if (typeof route === 'string') {
      return this.refuse(route, refusalConnack(connect.protocolVersion, route), 'connect-rejected');
    }
    this.route = route;
    const waitMs = this.world.holdBackMs(connect, this.peer);
    if (waitMs === 0) return this.recall(connect, route);
    this.phase = 'held-back';
    this.wire.setTimer(waitMs);
  }

  private recall(connect: Connect, route: PoolRoute): void {
    // An empty client id is nobody's: the node, or we, will choose one that nobody else has.
    if (route.recallTimeoutMs === 0 || connect.clientId === '') return this.carry(undefined);
    this.phase = 'recalling';
    this.wire.setTimer(route.recallTimeoutMs);
    this.world.recall(this, this);
  }

  recalled(nodeId: string | undefined): void {
    if (this.phase === 'recalling') this.carry(nodeId);
  }

  private carry(preferred: string | undefined): void {
    const { held, connect, route, world } = this;
    if (held === undefined || connect === undefined || route === undefined) return;
    this.phase = 'carried';
    this.letGo();
    if (this.isHolding) this.hold(false); // from here on it is the carrier's
    if ((route.mode ?? world.mode) === 'relay') {
      this.carrier = new Relay(this, connect, route, held);
    } else {
      const raw = held.bytes.subarray(0, this.connectEnd);
      this.carrier = new SessionCarrier(this, connect, route, raw);
      this.carrier.deviceData(held.bytes, this.connectEnd, held.length);
    }
    if (this.deviceFin) this.carrier.deviceEnded('fin');
    this.carrier.place(preferred ?? this.peer.request?.preferredNode); // unless what was held has ended it
  }

  deviceEnded(cause: EndCause): void {
    this.because(DEVICE_END[cause]);
    if (this.phase === 'carried') return this.carrier?.deviceEnded(cause);
    if (cause === 'tls' || cause === 'websocket') {
      this.world.rejected(cause === 'tls' ? 'tls-failed' : 'websocket-refused', this);
      return this.close(closingOf(cause));
    }
    const waits = this.phase === 'held-back' || this.phase === 'recalling';
    if (cause === 'fin' && waits)
      this.deviceFin = true; // what it said before goes to a node all the same
    else this.close('reset');
  }

  linkOpened(link: Link): void {
    this.carrier?.linkOpened(link);
  }

  linkFailed(link: Link, errno: string): void {
    this.carrier?.linkFailed(link, errno);
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    this.carrier?.linkData(link, bytes, start, end);
  }

  linkEnded(link: Link, cause: EndCause): void {
    this.carrier?.linkEnded(link, cause);
  }

  timer(): void {
    if (this.phase === 'greeting') return this.refuse('connect-timeout', undefined, 'connect-timeout');
    const { connect, route } = this;
    if (this.phase === 'held-back' && connect && route) return this.recall(connect, route);
    if (this.phase === 'recalling') return this.carry(undefined);
    if (this.phase === 'carried') return this.carrier?.timer();
    this.wire.endDevice('reset'); // it was flushed, and has had its time
    this.carrier?.leave();
  }

  /** Ends the connection from outside. */
  end(reason: EndReason): void {
    if (this.phase === 'closing') return;
    if (this.carrier !== undefined) return this.carrier.end(reason);
    this.because(reason);
    this.close('flush');
  }

  /**
   * The broker has accepted a newer connection of the client id. That ends nobody: whether it was a takeover is the
   * broker's to say, by what becomes of the link. `isSame`: of the same device, as far as anybody can know.
   */
  superseded(isSame: boolean): void {
    this.rivalledAtMs = this.world.now();
    if (!isSame || this.isSuperseded) return;
    this.isSuperseded = true;
    this.carrier?.superseded();
  }

  placed(isAccepted: boolean): void {
    this.placedAtMs = this.world.now();
    this.world.placed(this, isAccepted);
  }

  because(reason: EndReason): void {
    this.reason ??= reason;
  }

  refuse(label: string, reply: Uint8Array | undefined, reason: EndReason): void {
    this.world.rejected(label, this);
    this.because(reason);
    if (reply === undefined) return this.close('reset');
    this.wire.toDevice(reply, 0, reply.length);
    this.close('flush');
  }

  close(how: 'flush' | 'reset'): void {
    if (this.phase === 'closing') return;
    this.beginToClose();
    // A device that does not read its last bytes may not hold the socket for ever.
    this.wire.setTimer(how === 'flush' ? this.world.limits.halfCloseTimeoutMs : 0);
    this.carrier?.leave();
    this.wire.endDevice(how);
  }

  closed(bytesFromDevice: number, bytesToDevice: number): void {
    if (this.phase !== 'closing') this.beginToClose();
    this.carrier?.closed();
    this.world.ended(this, this.reason ?? 'device-closed', bytesFromDevice, bytesToDevice);
  }

  private beginToClose(): void {
    this.phase = 'closing';
    this.letGo();
    this.world.left(this);
  }

  /** What the device has sent is somebody else's now, or nobody's. */
  private letGo(): void {
    if (this.held !== undefined) this.world.pending(this, 0);
    this.held = undefined;
  }
}
