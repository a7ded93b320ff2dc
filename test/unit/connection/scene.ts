import { Connection } from '../../../src/connection/connection.ts';
import type {
  ConnectionHost,
  ConnectionLimits,
  EndReason,
  MovePolicy,
  Recaller,
  RetryPolicy,
  SessionLimits,
} from '../../../src/connection/connection-host.ts';
import type { Asker, Evidence } from '../../../src/connection/evidence.ts';
import {
  type HandedConnection,
  readHandedConnection,
  readHandedPeer,
} from '../../../src/connection/handed.ts';
import { describePeer } from '../../../src/connection/handed-peer.ts';
import { OpaqueConnection } from '../../../src/connection/opaque.ts';
import type { EndCause, Link, Peer, Target, Wire, WireEvents } from '../../../src/connection/wire.ts';
import { PendingBytes } from '../../../src/policy/admission/pending-bytes.ts';
import type { Refusal } from '../../../src/policy/routing/rules.ts';
import { connectPacket } from '../protocol/mqtt/packets.ts';

/**
 * One connection on a stage: the test plays the device, the nodes and the clock, and reads what the connection did as
 * lines of text. The wire is strict, as an engine may be: what its contract forbids throws.
 */

export const limits: ConnectionLimits = {
  connectTimeoutMs: 10_000,
  maxPacketBytes: 256,
  halfCloseTimeoutMs: 8_000,
};
export const retryPolicy: RetryPolicy = {
  connectTimeoutMs: 3_000,
  connackTimeoutMs: 5_000,
  connackDeadlineMs: 30_000,
  maxAttempts: 3,
  deadlineMs: 12_000,
  connectQueue: 10,
};
export const moves: MovePolicy = {
  reattachDeadlineMs: 20_000,
  reattachConnackDeadlineMs: 15_000,
  silenceTimeoutMs: 5_000,
  silenceDeadlineMs: 60_000,
  takeoverFiresWill: false,
  leavesFirst: false,
  lostLink: 'evidence',
};
export const sessionLimits: SessionLimits = {
  maxOfflineBytes: 64,
  maxInflightBytes: 4_096,
  maxStateBytes: 1_024,
};
export const peer = { remoteAddress: '10.0.0.1', remotePort: 40_000 };

/** Keyed by what the lines call them. */
export const packet = {
  CONNECT: connectPacket({ version: 4, clientId: 'meter-1', clean: true, keepalive: 60 }),
  CONNECT5: connectPacket({ version: 5, clientId: 'meter-1', clean: true, keepalive: 60 }),
  ACCEPTED: Buffer.of(0x20, 2, 0, 0),
  BAD_LOGIN: Buffer.of(0x20, 2, 0, 4),
  UNAVAILABLE: Buffer.of(0x20, 2, 0, 3),
  ANONYMOUS5: connectPacket({ version: 5, clientId: '', clean: true, keepalive: 60 }),
  ASSIGNED5: Buffer.concat([Buffer.of(0x20, 12, 0, 0, 9, 0x12, 0, 6), Buffer.from('auto-7')]),
  ACCEPTED5: Buffer.of(0x20, 3, 0, 0, 0),
  UNAVAILABLE5: Buffer.of(0x20, 3, 0, 0x88, 0),
  BUSY5: Buffer.of(0x20, 3, 0, 0x89, 0),
  QUOTA5: Buffer.of(0x20, 3, 0, 0x97, 0),
  RATE5: Buffer.of(0x20, 3, 0, 0x9f, 0),
  PROTOCOL_VERSION: Buffer.of(0x20, 2, 0, 1),
  PROTOCOL_VERSION5: Buffer.of(0x20, 3, 0, 0x84, 0),
  NOT_AUTHORIZED: Buffer.of(0x20, 2, 0, 5),
  BANNED5: Buffer.of(0x20, 3, 0, 0x8a, 0),
  AUTH5: Buffer.of(0xf0, 2, 0x18, 0),
};

/** `CONNECT+ping`: the names of known packets, other bytes as they are. */
function show(bytes: Buffer): string {
  if (bytes.length === 0) return '';
  for (const [name, known] of Object.entries(packet)) {
    if (!bytes.subarray(0, known.length).equals(known)) continue;
    const rest = show(bytes.subarray(known.length));
    return rest === '' ? name : `${name}+${rest}`;
  }
  return bytes.toString('latin1');
}

const unbounded = new PendingBytes(Number.POSITIVE_INFINITY);

export interface SceneOptions {
  /** The bound on what is kept before a node is asked. */
  readonly pending?: PendingBytes;
  readonly nodes?: readonly string[];
  readonly refusal?: Refusal;
  readonly maxPacketBytes?: number;
  /** Nodes that have as many connections as they may. */
  readonly full?: readonly string[];
  /** What a new device waits at a node, in ms; undefined: too many wait there. Absent: nothing. */
  readonly queues?: Readonly<Record<string, number | undefined>>;
  /** What a device that connects over and over waits, in ms. */
  readonly reconnectDelayMs?: number;
  /** 0, when absent: the pool does not remember. */
  readonly recallTimeoutMs?: number;
  /** `judges` says whether nodes are gone; absent: one that is slow is. */
  readonly lives?: true;
  /** Any protocol, or TLS that passes through. Absent: MQTT. */
  readonly opaque?: 'tcp' | 'tls';
}

type LinkState = 'dialling' | 'open' | 'ended';

export class Scene {
  connection: WireEvents & Pick<Connection | OpaqueConnection, 'end' | 'describe' | 'departed' | 'peer'>;
  /** Times that another process has gone on with it. */
  handed = 0;
  /** What rules were asked with. */
  askedAbout: Peer | undefined;
  nowMs = 1_000;
  /** When the timer fires; undefined while there is none. */
  timerAtMs: number | undefined;
  readonly links = new Map<Link, LinkState>();
  spliced: Link | undefined;
  deviceEnd: EndCause | undefined;
  deviceDone: 'flush' | 'reset' | undefined;
  isClosed = false;
  /** The next answers of `stillTakes`; behind them false. */
  takes: boolean[] = [];
  held = false;
  dials = 0;
  /** Times that a node is counted, less times that it is released. */
  counted = 0;
  ends = 0;
  lefts = 0;
  connackAfterMs: number | undefined;
  /** Everything that the last link was given before the splice. */
  given: Buffer = Buffer.alloc(0);
  /** Everything that the device sent before the splice. */
  sent: Buffer = Buffer.alloc(0);
  private lines: string[] = [];
  private asker: Recaller | undefined;
  private doubter: Asker | undefined;

  private readonly options: SceneOptions;

  constructor(options: SceneOptions = {}) {
    this.options = options;
    const { opaque } = options;
    if (opaque === undefined) {
      this.connection = new Connection(this.wire(), peer, this.host(options));
      this.did(); // the timer for CONNECT is everywhere the same
    } else {
      const connection = new OpaqueConnection(this.wire(), peer, this.host(options));
      this.connection = connection;
      connection.begin(opaque === 'tls');
    }
  }

  /** Another process goes on, where the connection can be described. */
  handOver(): this {
    const { connection } = this;
    const described = connection.describe();
    if (described === undefined) return this;
    const handed = readHandedConnection(structuredClone(described));
    const about = readHandedPeer(structuredClone(describePeer(connection.peer)));
    connection.departed();
    this.handed++;
    this.takeOver(handed, about);
    return this;
  }

  /** Goes on with what another process has described. */
  takeOver(handed: HandedConnection, about: Peer = peer): void {
    const { kind } = handed;
    const host = this.host(this.options);
    if (kind === 'mqtt') this.connection = Connection.revive(this.wire(), about, host, handed);
    else if (kind === 'opaque') this.connection = OpaqueConnection.revive(this.wire(), about, host, handed);
  }

  /** What happened since it was asked last. */
  did(): string[] {
    const { lines } = this;
    this.lines = [];
    return lines;
  }

  private wire(): Wire {
    const told = (line: string): void => {
      if (this.isClosed) throw new Error(`${line}: the connection is closed`);
      this.lines.push(line);
    };
    const live = (line: string): void => {
      if (this.deviceDone !== undefined) throw new Error(`${line}: endDevice was called`);
      told(line);
    };
    return {
      guard: (run) => run(),
      isDeviceBehind: () => false,
      stillTakes: () => this.takes.shift() ?? false,
      holdNode: (link, hold) => live(`${hold ? 'hold' : 'read'} link ${link}`),
      nextTurn: () => live('next turn'),
      numbered: () => {},
      countAt: () => {},
      toDevice: (bytes, start, end) =>
        live(`device gets ${show(Buffer.copyBytesFrom(bytes, start, end - start))}`),
      toNode: (link, bytes, start, end) => {
        if (this.links.get(link) !== 'open') throw new Error(`link ${link} is not open`);
        const copy = Buffer.copyBytesFrom(bytes, start, end - start);
        this.given = Buffer.concat([this.given, copy]);
        live(`node gets ${show(copy)}`);
      },
      dial: ({ nodeId }) => {
        if (this.links.size > 0) throw new Error('a second link is dialled');
        live(`dial ${nodeId}`);
        this.links.set(this.dials, 'dialling');
        this.given = Buffer.alloc(0);
        return this.dials++;
      },
      splice: (link) => {
        if (this.links.get(link) !== 'open') throw new Error(`splice of link ${link}, which is not open`);
        live('splice');
        this.spliced = link;
      },
      holdDevice: (hold) => {
        live(hold ? 'hold device' : 'read device');
        this.held = hold;
      },
      endDevice: (how) => {
        told(`end device: ${how}`);
        this.deviceDone = how;
        this.spliced = undefined;
      },
      finishDevice: () => {
        throw new Error('a splice carries the end over');
      },
      finishNode: (link) => {
        if (this.links.get(link) !== 'open') throw new Error(`FIN on link ${link}, which is not open`);
        told('finish node');
      },
      endNode: (link, how, closed) => {
        told(`end node: ${how}`);
        this.links.delete(link);
        if (this.spliced === link) this.spliced = undefined;
        closed?.();
      },
      setTimer: (ms) => {
        told(ms === 0 ? 'no timer' : `timer ${ms}`);
        this.timerAtMs = ms === 0 ? undefined : this.nowMs + ms;
      },
    };
  }

  private host(options: SceneOptions): ConnectionHost {
    const { nodes = ['a', 'b', 'c', 'd'], full = [], queues = {}, refusal, recallTimeoutMs = 0 } = options;
    const targets = nodes.map((nodeId, slot): Target => ({ slot, nodeId, host: '127.0.0.1', port: 1883 }));
    const count = (by: number): void => {
      this.counted += by;
      if (this.counted < 0 || this.counted > 1) throw new Error(`counted ${this.counted} times`);
    };
    const place = (preferred: string | undefined) => ({
      candidates: iterate(
        targets.toSorted((a, b) => Number(b.nodeId === preferred) - Number(a.nodeId === preferred)),
      ),
      retryPolicy,
    });
    const notRelayed = (): never => {
      throw new Error('only sessions move');
    };
    const noQueue = { enter: notRelayed, leave: notRelayed };
    const host: ConnectionHost = {
      limits: { ...limits, maxPacketBytes: options.maxPacketBytes ?? limits.maxPacketBytes },
      ...{ sessionLimits, mode: 'relay' },
      ...{ turns: { lost: noQueue, hung: noQueue }, reattached: notRelayed, random: () => 0 },
      evidence: (asker) => {
        if (options.lives === undefined) return 'no-answer';
        this.lines.push(`is ${asker.target.nodeId} gone?`);
        this.doubter = asker;
        return undefined;
      },
      forget: () => {
        this.doubter = undefined;
      },
      ...{ trials: noQueue, convicted: notRelayed },
      now: () => this.nowMs,
      route: (_, about) => {
        this.askedAbout = about;
        return (
          refusal ?? {
            ...{
              name: 'pool',
              mode: undefined,
              moves,
              recallTimeoutMs,
              claimTtlMs: 0,
              named: () => undefined,
              hasOther: () => true,
            },
            place: (_connect, _peer, preferred) => place(preferred),
            target: (node) => targets.find(({ nodeId }) => nodeId === node),
          }
        );
      },
      follow: (route) => route,
      routeTo: (_, connect, about) => {
        const route = host.route(connect, about);
        return typeof route === 'string' ? undefined : route;
      },
      pending: (holder, bytes) => (options.pending ?? unbounded).set(holder, bytes),
      reconnectDelayMs: () => options.reconnectDelayMs ?? 0,
      recall: ({ clientId }, asker) => {
        this.lines.push(`where was ${clientId}?`);
        this.asker = asker;
      },
      take: ({ nodeId }) => {
        if (full.includes(nodeId)) return false;
        count(1);
        return true;
      },
      queue: ({ nodeId }, connectQueue) => {
        if (connectQueue !== retryPolicy.connectQueue) throw new Error('another pool’s queue');
        return nodeId in queues ? queues[nodeId] : 0;
      },
      release: () => count(-1),
      takeServed: () => count(1),
      revived: () => {},
      departed: () => {},
      dialFailed: ({ nodeId }, failure) => this.lines.push(`${nodeId} failed: ${failure}`),
      dialled: ({ nodeId }, ms) => this.lines.push(`${nodeId} answered after ${ms}`),
      placed: ({ target }, isAccepted, connackAfterMs) => {
        this.connackAfterMs = connackAfterMs;
        this.lines.push(`placed at ${target?.nodeId}${isAccepted ? '' : ', not accepted'}`);
      },
      nodeSpoke: notRelayed,
      hasSpoken: notRelayed,
      scouts: { sent: notRelayed, answered: notRelayed, mayAsk: notRelayed },
      linkLost: (_, { nodeId }, cause) => this.lines.push(`${nodeId} lost: ${cause}`),
      rejected: (reason) => this.lines.push(`rejected: ${reason}`),
      left: () => {
        this.lefts++;
      },
      ended: (_, reason: EndReason) => {
        this.ends++;
        this.lines.push(`ended: ${reason}`);
      },
    };
    return host;
  }

  /** Whether the node that is slow is gone, where that was asked. */
  judges(evidence: Evidence | undefined): this {
    const { doubter } = this;
    this.doubter = undefined;
    doubter?.judged(evidence);
    return this;
  }

  private get link(): Link {
    return this.dials - 1;
  }

  /** The device sends these bytes, in the middle of a larger buffer that the engine then uses for something else. */
  says(...parts: readonly (Uint8Array | string)[]): this {
    const sent = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
    this.sent = Buffer.concat([this.sent, sent]);
    const scratch = Buffer.concat([Buffer.from('<<'), sent, Buffer.from('>>')]);
    this.connection.deviceData(scratch, 2, 2 + sent.length);
    scratch.fill(0xee);
    return this;
  }

  /** The answer to where the device was served last. */
  remembers(nodeId: string | undefined): this {
    this.asker?.recalled(nodeId);
    return this;
  }

  deviceEnds(cause: EndCause): this {
    this.deviceEnd = cause;
    this.connection.deviceEnded(cause);
    return this;
  }

  /** The node accepts the TCP connection. */
  opens(): this {
    this.links.set(this.link, 'open');
    this.connection.linkOpened(this.link);
    return this;
  }

  refuses(errno = 'ECONNREFUSED'): this {
    const { link } = this;
    this.links.delete(link);
    this.connection.linkFailed(link, errno);
    return this;
  }

  node(bytes: Uint8Array): this {
    this.connection.linkData(this.link, bytes, 0, bytes.length);
    return this;
  }

  nodeEnds(cause: EndCause): this {
    this.links.set(this.link, 'ended');
    this.connection.linkEnded(this.link, cause);
    return this;
  }

  after(ms: number): this {
    this.nowMs += ms;
    if (this.timerAtMs === undefined || this.timerAtMs > this.nowMs) return this;
    this.timerAtMs = undefined;
    this.connection.timer();
    return this;
  }

  /** The engine has closed every socket. */
  closes(): this {
    this.isClosed = true;
    this.connection.closed(1, 2);
    return this;
  }

  /** Served by the first node. */
  served(connect: Uint8Array = packet.CONNECT): this {
    this.says(connect).opens().node(packet.ACCEPTED);
    this.did();
    return this;
  }
}

function* iterate(targets: readonly Target[]): Generator<Target, undefined> {
  yield* targets;
  return undefined;
}
