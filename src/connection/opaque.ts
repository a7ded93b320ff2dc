import { GrowableBuffer } from '../base/growable-buffer.ts';
import { readClientHello } from '../protocol/tls-hello/client-hello.ts';
import { nodeEndOf } from './close-reasons.ts';
import { ConnectAttempts } from './connect-attempts.ts';
import type { ConnectionHost, ConnectionView, EndReason, PoolRoute } from './connection-host.ts';
import type { HandedOpaque } from './handed.ts';
import { handedRoute, handedTarget } from './handed-place.ts';
import { HANDED_VERSION } from './handed-version.ts';
import { hasTimeAgain } from './last-bytes.ts';
import { NodePermit } from './node-permit.ts';
import type { EndCause, Link, Peer, Target, Wire, WireEvents } from './wire.ts';

/** A fatal alert (RFC 8446, 6.2), which a device understands before any handshake. */
const alert = (description: number): Uint8Array => Uint8Array.of(21, 3, 1, 0, 2, 2, description);
const ACCESS_DENIED = alert(49);
const INTERNAL_ERROR = alert(80);

const DEVICE_END: Partial<Record<EndCause, EndReason>> = { fin: 'device-closed', reset: 'device-reset' };

/**
 * The life of a connection of any protocol, without I/O: bytes go through as they are, TLS too.
 *
 *   (greeting ──ClientHello──►) searching ──a node accepts──► spliced ──► closing
 *
 * `greeting` is there only where TLS passes through, and reads the server name for rules. Otherwise a node is sought at
 * once, because in some protocols the server speaks first. The device is not read until its node is there.
 */
export class OpaqueConnection implements WireEvents, ConnectionView {
  readonly wire: Wire;
  readonly host: ConnectionHost;
  /** There is no CONNECT, nor a session that could move. */
  readonly connect = undefined;
  readonly session = undefined;
  readonly clientId = '';
  readonly who = 0;
  peer: Peer;
  route: PoolRoute | undefined;
  /** When the device was served, on the host's clock; 0 before. */
  placedAtMs = 0;
  /** Of its own in this proxy, from when it is served. */
  number = 0;
  /** Where it stands among those that are open: their keeper's business. */
  setIndex = -1;

  /** What the device sent before its node was there: its ClientHello. */
  private held: GrowableBuffer | undefined;
  private attempts: ConnectAttempts | undefined;
  private permit: NodePermit | undefined;
  private link: Link = -1;
  private reason: EndReason | undefined;
  private isClosing = false;
  /** One side has ended, and the other has its time to do so too. */
  private halfClosed = false;

  constructor(wire: Wire, peer: Peer, host: ConnectionHost) {
    this.wire = wire;
    this.peer = peer;
    this.host = host;
  }

  /** The node that serves the device, or is asked to. */
  get target(): Target | undefined {
    return (this.permit ?? this.attempts?.permit)?.target;
  }

  /** To be called once, before the engine tells anything. @param passesTls the device speaks TLS, and names a server */
  begin(passesTls: boolean): void {
    if (!passesTls) return this.search();
    this.held = new GrowableBuffer();
    this.wire.setTimer(this.host.limits.connectTimeoutMs);
  }

  // ---- finding a node --------------------------------------------------------------------------------------

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    const { held } = this;
    if (held === undefined || this.isClosing) return;
    held.append(bytes, start, end);
    if (this.attempts !== undefined) return; // it came along with the end of the ClientHello
    const hello = readClientHello(held.bytes, 0, held.length);
    if (hello.kind === 'incomplete') return;
    if (hello.kind === 'refused') return this.refuse('not-tls', undefined, 'connect-rejected');
    this.peer = new NamingPeer(this.peer, hello.serverName);
    this.search();
  }

  private search(): void {
    const { wire, host, peer } = this;
    wire.holdDevice(true);
    const route = host.route({}, peer);
    if (typeof route === 'string') return this.refuse(route, ACCESS_DENIED, 'connect-rejected');
    this.route = route;
    // Behind a ClientHello there is something to send at once; otherwise the node may be who speaks first.
    const greets = this.held !== undefined;
    this.attempts = new ConnectAttempts(this, route.place({ clientId: '' }, peer, undefined), { greets });
    this.dialNext();
  }

  private dialNext(): void {
    const { attempts } = this;
    if (attempts?.choose(true) !== undefined) return attempts.dialInTurn();
    this.refuse(attempts?.shortage ?? 'no-node', INTERNAL_ERROR, 'no-node');
  }

  linkFailed(_link: Link, errno: string): void {
    this.attempts?.dialFailed(errno);
    this.dialNext();
  }

  linkOpened(link: Link): void {
    const { wire, host, held, attempts } = this;
    this.permit = attempts?.succeeded();
    this.attempts = undefined;
    this.link = link;
    this.placedAtMs = host.now();
    host.placed(this, false);
    if (held !== undefined) wire.toNode(link, held.bytes, 0, held.length);
    this.held = undefined;
    wire.setTimer(this.halfClosed ? host.limits.halfCloseTimeoutMs : 0);
    wire.splice(link);
    wire.holdDevice(false);
  }

  /** Nothing is told of a spliced link's bytes, and no other is open. */
  linkData(): void {}

  // ---- ends ------------------------------------------------------------------------------------------------

  /** While a node is sought, a FIN is a half-close: the device may still read. */
  deviceEnded(cause: EndCause): void {
    this.because(DEVICE_END[cause] ?? 'device-timeout');
    if (this.link >= 0) this.waitForOther();
    else if (cause === 'fin' && this.attempts !== undefined) this.halfClosed = true;
    else this.close('reset');
  }

  /** That a node ends a connection is the way of many protocols; only what is no FIN speaks against it. */
  linkEnded(_link: Link, cause: EndCause): void {
    const { permit, host } = this;
    if (permit !== undefined && !this.halfClosed && cause !== 'fin')
      host.linkLost(this, permit.target, cause);
    permit?.release();
    this.because(nodeEndOf(cause));
    this.waitForOther();
  }

  /** The engine carries the end over to the other side; only how long that may take is decided here. */
  private waitForOther(): void {
    this.halfClosed = true;
    this.wire.setTimer(this.host.limits.halfCloseTimeoutMs);
  }

  timer(): void {
    const { attempts, wire } = this;
    const hasEnded = this.isClosing || (attempts === undefined && this.link >= 0);
    if (hasEnded && hasTimeAgain(this)) return;
    if (this.isClosing) return wire.endDevice('reset'); // it was flushed, and has had its time
    if (attempts !== undefined) {
      if (attempts.link < 0) return attempts.dial(); // its turn has come
      attempts.fail('timeout');
      return this.dialNext();
    }
    if (this.link >= 0) return this.close('reset');
    this.refuse('connect-timeout', undefined, 'connect-timeout');
  }

  /** Ends the connection from outside: what waits is sent, both ways. */
  end(reason: EndReason): void {
    this.because(reason);
    this.wire.guard(() => this.close('flush'));
  }

  private because(reason: EndReason): void {
    this.reason ??= reason;
  }

  private refuse(label: string, reply: Uint8Array | undefined, reason: EndReason): void {
    this.host.rejected(label, this);
    this.because(reason);
    if (reply === undefined || this.held === undefined) return this.close('reset');
    this.wire.toDevice(reply, 0, reply.length);
    this.close('flush');
  }

  private close(how: 'flush' | 'reset'): void {
    if (this.isClosing) return;
    this.isClosing = true;
    const { wire, link } = this;
    wire.setTimer(how === 'flush' ? this.host.limits.halfCloseTimeoutMs : 0);
    this.attempts?.giveUp();
    this.attempts = undefined;
    if (link >= 0) wire.endNode(link, how);
    this.permit?.release();
    this.held = undefined;
    wire.endDevice(how);
  }

  // ---- between processes -----------------------------------------------------------------------------------

  /** As `Connection.describe`. The name of the server that the device has named goes with the peer. */
  describe(): HandedOpaque | undefined {
    const { isClosing, attempts, reason } = this;
    const state = isClosing || attempts !== undefined ? undefined : this.describeState();
    return state && { version: HANDED_VERSION, kind: 'opaque', reason, state };
  }

  private describeState(): HandedOpaque['state'] | undefined {
    const { held, permit, link, route, number, placedAtMs, halfClosed, host } = this;
    if (held !== undefined) return { phase: 'greeting', held: held.copy };
    if (route === undefined || link < 0 || !permit?.isHeld) return undefined;
    return {
      ...{ phase: 'spliced', pool: route.name, number, node: permit.target.nodeId, link, halfClosed },
      placedAgoMs: host.now() - placedAtMs,
    };
  }

  /** As `Connection.revive`. */
  static revive(
    wire: Wire,
    peer: Peer,
    host: ConnectionHost,
    { reason, state }: HandedOpaque,
  ): OpaqueConnection {
    const connection = new OpaqueConnection(wire, peer, host);
    connection.reason = reason;
    if (state.phase === 'greeting') {
      connection.held = new GrowableBuffer();
      connection.held.append(state.held, 0, state.held.length);
      return connection;
    }
    const route = handedRoute(host, state.pool, {}, peer);
    connection.permit = NodePermit.ofServed(host, handedTarget(route, state.node, peer));
    connection.route = route;
    connection.link = state.link;
    connection.halfClosed = state.halfClosed;
    connection.number = state.number;
    connection.placedAtMs = host.now() - state.placedAgoMs;
    host.revived(connection);
    return connection;
  }

  /** As `Connection.departed`. */
  departed(): void {
    this.permit?.release();
    this.host.departed(this);
  }

  closed(bytesFromDevice: number, bytesToDevice: number): void {
    this.isClosing = true;
    this.attempts?.closed();
    this.permit?.release();
    this.host.ended(this, this.reason ?? 'device-closed', bytesFromDevice, bytesToDevice);
  }
}

/** A device that named a server in the TLS that passes through us. */
class NamingPeer implements Peer {
  readonly serverName: string | undefined;
  private readonly peer: Peer;

  constructor(peer: Peer, serverName: string | undefined) {
    this.peer = peer;
    this.serverName = serverName;
  }

  get remoteAddress(): string {
    return this.peer.remoteAddress;
  }

  get remotePort(): number {
    return this.peer.remotePort;
  }

  get destination(): Peer['destination'] {
    return this.peer.destination;
  }

  get tlvs(): Peer['tlvs'] {
    return this.peer.tlvs;
  }
}
