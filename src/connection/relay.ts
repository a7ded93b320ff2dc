import { GrowableBuffer } from '../base/growable-buffer.ts';
import { type ConnackPeek, isRetryable, peekConnack } from '../protocol/mqtt/connack.ts';
import type { ConnectSummary } from '../protocol/mqtt/connect.ts';
import { hexOf } from '../protocol/mqtt/reason-codes.ts';
import { varintEnd, varintValue } from '../protocol/mqtt/varint.ts';
import { readAssignedClientId } from '../session/index.ts';
import { closingOf, nodeEndOf } from './close-reasons.ts';
import { ConnectAttempts, type Overdue } from './connect-attempts.ts';
import type { EndReason } from './connection-host.ts';
import type { Forwarder, ForwarderHost } from './forwarder.ts';
import type { Unserved } from './greeting.ts';
import type { HandedRelay } from './handed.ts';
import { hasTimeAgain } from './last-bytes.ts';
import { turnAway } from './turn-away.ts';
import type { EndCause, Link, Target } from './wire.ts';

/** The largest refusal that is kept for the device; with a larger one another node may answer better. */
const MAX_CONNACK_BYTES = 4_096;
const DISCONNECT = Uint8Array.of(0xe0, 0);

/** What a relay has until a node serves its device. */
export class Search {
  readonly connect: ConnectSummary;
  attempts: ConnectAttempts | undefined;
  /** Everything from CONNECT on, until the connection closes. */
  held: GrowableBuffer | undefined;
  answer: GrowableBuffer | undefined;
  /** The link that is tried is open. */
  isOpen = false;

  constructor(connect: ConnectSummary, held: GrowableBuffer) {
    this.connect = connect;
    this.held = held;
  }
}

/**
 * Relay mode: until a node has accepted the CONNECT, everything that the device sent is held, so that the next
 * candidate can be given the same bytes; from then on the engine moves the bytes by itself, and nothing is parsed.
 */
export class Relay implements Forwarder {
  private readonly connection: ForwarderHost;
  private search: Search | undefined;
  /** It serves the device. */
  private node: Target | undefined;
  /** The connection is counted at `node`. Not a `NodePermit`, because there are very many relays. */
  private isCounted = false;
  assignedClientId: string | undefined;
  private link: Link = -1;
  /** One side has ended, and the other has its time to do so too. */
  private halfClosed = false;

  /** @param search undefined: the engine moves the bytes already */
  constructor(connection: ForwarderHost, search: Search | undefined) {
    this.connection = connection;
    this.search = search;
  }

  private get attempts(): ConnectAttempts | undefined {
    return this.search?.attempts;
  }

  /** While the engine moves the bytes, and neither the node nor we have ended it. */
  describe(): HandedRelay | undefined {
    const { assignedClientId, node, link, halfClosed } = this;
    const { connect } = this.connection;
    if (connect === undefined || node === undefined || link < 0 || !this.isCounted) return undefined;
    return { kind: 'relay', connect, assignedClientId, node: node.nodeId, link, halfClosed };
  }

  static revive(connection: ForwarderHost, target: Target, handed: HandedRelay): Relay {
    const relay = new Relay(connection, undefined);
    relay.assignedClientId = handed.assignedClientId;
    connection.host.takeServed(target);
    relay.node = target;
    relay.isCounted = true;
    relay.link = handed.link;
    relay.halfClosed = handed.halfClosed;
    return relay;
  }

  departed(): void {
    this.release();
  }

  /** No node is sought any more. Undefined: one has answered the device. */
  giveUpSearch(): Unserved | undefined {
    const { search, halfClosed } = this;
    if (search?.held === undefined) return undefined;
    search.attempts?.withdraw();
    return { said: search.held.copy, hasFinished: halfClosed };
  }

  private release(): void {
    if (this.isCounted && this.node !== undefined) this.connection.host.release(this.node);
    this.isCounted = false;
  }

  get target(): Target | undefined {
    return this.node ?? this.attempts?.permit?.target;
  }

  place(preferred: string | undefined): void {
    const { connection, search } = this;
    const { route, peer } = connection;
    if (search === undefined || route === undefined) return;
    search.attempts = new ConnectAttempts(connection, route.place(search.connect, peer, preferred), {
      goodbye: () => (hasMore(search.held) ? undefined : DISCONNECT),
      gone: () => this.attemptOver('connack-timeout'),
    });
    this.dialNext();
  }

  private dialNext(): void {
    const { search, connection } = this;
    if (search === undefined) return;
    search.isOpen = false;
    search.answer = undefined;
    const { connect, attempts } = search;
    if (attempts?.choose(true) !== undefined) return attempts.dialInTurn();
    turnAway(connection, connect, attempts);
  }

  private attemptOver(why: Overdue): void {
    this.attempts?.fail(why);
    this.dialNext();
  }

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    const { search, connection } = this;
    if (search === undefined) return;
    const { held, attempts, isOpen } = search;
    if (held === undefined) return;
    held.append(bytes, start, end);
    if (isOpen && attempts !== undefined) connection.wire.toNode(attempts.link, bytes, start, end);
    if (held.length > connection.host.limits.maxPacketBytes) connection.wire.holdDevice(true);
  }

  linkOpened(link: Link): void {
    const { search, connection } = this;
    const { held, attempts } = search ?? {};
    if (search === undefined || held === undefined || attempts === undefined) return;
    search.isOpen = true;
    connection.wire.toNode(link, held.bytes, 0, held.length);
    if (this.halfClosed) connection.wire.finishNode(link);
    attempts.opened();
  }

  linkFailed(_link: Link, errno: string): void {
    this.attempts?.dialFailed(errno);
    this.dialNext();
  }

  /** The node's first bytes decide whether it serves this device. */
  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    const { search } = this;
    if (search === undefined) return;
    const { answer } = search;
    if (answer === undefined) return this.judge(link, search, bytes, start, end);
    answer.append(bytes, start, end);
    this.judge(link, search, answer.bytes, 0, answer.length);
  }

  /** Nearly always the answer comes whole, and then it is not copied. */
  private judge(
    link: Link,
    { attempts, connect }: Search,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (attempts === undefined) return;
    const peek = peekConnack(bytes, start, end);
    if (peek.kind === 'incomplete') return this.keepAnswer(bytes, start, end);
    if (peek.kind === 'other') {
      attempts.ended('error');
      return this.dialNext();
    }
    if (peek.kind === 'connack' && isRetryable(connect.protocolVersion, peek.code)) {
      const isWhole = peek.end <= end;
      // All of it, because it may be the last word to the device.
      if (!isWhole && peek.end - start <= MAX_CONNACK_BYTES) return this.keepAnswer(bytes, start, end);
      attempts.busy(
        `CONNACK ${hexOf(peek.code)}`,
        isWhole ? new Uint8Array(bytes.subarray(start, peek.end)) : undefined,
      );
      return this.dialNext();
    }
    this.node = attempts.succeeded()?.target;
    this.isCounted = true;
    this.search = undefined;
    if (peek.kind === 'connack') this.decided(peek, connect, bytes, start, end);
    else this.connection.placed(false); // how the login ends is not seen
    this.handOver(link, bytes, start, end);
  }

  private keepAnswer(bytes: Uint8Array, start: number, end: number): void {
    const { search } = this;
    if (search === undefined || search.answer !== undefined) return; // it has them already
    search.answer = new GrowableBuffer();
    search.answer.append(bytes, start, end);
  }

  /**
   * The node has refused the device, so it does not hold its client id. It is passed on to its answer and its
   * close.
   */
  private decided(
    { code, end: behind }: Extract<ConnackPeek, { kind: 'connack' }>,
    connect: ConnectSummary,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const { connection } = this;
    if (code !== 0) return connection.host.rejected('node-refused', connection);
    if (connect.clientId === '' && behind <= end)
      this.assignedClientId = readAssignedClientId(bytes, start, behind, connect.protocolVersion);
    connection.placed(true);
  }

  /** The node has answered: the engine moves the bytes from here on. */
  private handOver(link: Link, bytes: Uint8Array, start: number, end: number): void {
    const { wire, host } = this.connection;
    this.link = link;
    // The device may have ended meanwhile: the splice carries that over, and the node's time to end begins.
    wire.setTimer(this.halfClosed ? host.limits.halfCloseTimeoutMs : 0);
    wire.toDevice(bytes, start, end);
    wire.splice(link);
    wire.holdDevice(false);
  }

  /** While a node is sought, a FIN behind a whole CONNECT is a half-close: the device may still read. */
  deviceEnded(cause: EndCause): void {
    const { attempts, isOpen } = this.search ?? {};
    if (attempts === undefined) return this.waitForOther();
    if (cause !== 'fin') return this.connection.close(closingOf(cause));
    this.halfClosed = true;
    if (isOpen) this.connection.wire.finishNode(attempts.link);
  }

  linkEnded(_link: Link, cause: EndCause): void {
    const { attempts, node, connection } = this;
    if (attempts !== undefined && this.halfClosed) return connection.close('flush'); // it answers nobody who has gone
    if (attempts !== undefined) {
      attempts.ended(cause);
      return this.dialNext();
    }
    if (node !== undefined && !this.halfClosed && !connection.isTakenOver)
      connection.host.linkLost(connection, node, cause);
    this.release();
    connection.because(connection.isTakenOver ? 'taken-over' : nodeEndOf(cause));
    this.waitForOther();
  }

  /** The engine carries the end over to the other side; only how long that may take is decided here. */
  private waitForOther(): void {
    this.halfClosed = true;
    this.connection.wire.setTimer(this.connection.host.limits.halfCloseTimeoutMs);
  }

  timer(): void {
    const { attempts, connection } = this;
    if (attempts === undefined && hasTimeAgain(connection)) return;
    if (attempts === undefined) return connection.close('reset');
    const why = attempts.due();
    if (why !== undefined) this.attemptOver(why);
  }

  /** What the broker says is passed on as it comes. */
  superseded(): void {}

  /** The link is reset, so that a Will fires as the device's absence asks. */
  end(reason: EndReason): void {
    this.connection.because(reason);
    this.connection.close('flush');
  }

  leave(): void {
    const { wire } = this.connection;
    if (this.link >= 0) wire.endNode(this.link, 'reset');
    this.link = -1;
    this.attempts?.giveUp();
    this.release();
    if (this.search !== undefined) this.search.held = undefined;
  }

  closed(): void {
    this.attempts?.closed();
    this.release();
  }
}

/** Has the device sent anything behind its CONNECT, perhaps part of a packet? */
function hasMore(held: GrowableBuffer | undefined): boolean {
  if (held === undefined) return true;
  const bodyAt = varintEnd(held.bytes, 1, held.length);
  return bodyAt + varintValue(held.bytes, 1, bodyAt) < held.length;
}
