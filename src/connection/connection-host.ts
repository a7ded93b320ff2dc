import type { PendingHolder } from '../policy/admission/pending-bytes.ts';
import type { Refusal } from '../policy/routing/rules.ts';
import type { Connect, ConnectSummary } from '../protocol/mqtt/connect.ts';
import type { Suspect } from '../session/index.ts';
import type { Asker, Evidence, TrialQueue } from './evidence.ts';
import type { Scouts } from './scouts.ts';
import type { TurnQueue } from './turn-queue.ts';
import type { EndCause, Peer, Target } from './wire.ts';

/** Bounds on one connection, in milliseconds and bytes; defaults and reasons are in the configuration schema. */
export interface ConnectionLimits {
  /** From accept to a whole CONNECT. */
  readonly connectTimeoutMs: number;
  /** Largest CONNECT, and the most that is kept of what a device sends before its node answered. */
  readonly maxPacketBytes: number;
  /** From half-close on one side to the end of the other. */
  readonly halfCloseTimeoutMs: number;
}

/** How patiently nodes are tried for one device. */
export interface RetryPolicy {
  /** TCP connect, each attempt. */
  readonly connectTimeoutMs: number;
  /** From the connect to CONNACK, unless the node gives another sign of life. */
  readonly connackTimeoutMs: number;
  /** The same for a node that does. */
  readonly connackDeadlineMs: number;
  readonly maxAttempts: number;
  /** All attempts together; what a living node takes for its CONNACK is not counted. */
  readonly deadlineMs: number;
  /** Devices that wait for their turn at one node, at most. */
  readonly connectQueue: number;
}

/** How sessions of one pool are moved between its nodes. */
export interface MovePolicy {
  /** From the loss of a node to the end of the device, when no other node takes the session. */
  readonly reattachDeadlineMs: number;
  /** As `connackDeadlineMs`, for a node that is asked for a session. */
  readonly reattachConnackDeadlineMs: number;
  /** A node that hangs is left within this time; it covers the suspicion and the proof. */
  readonly silenceTimeoutMs: number;
  /** As `reattachDeadlineMs`, where the node hangs and keeps its link. */
  readonly silenceDeadlineMs: number;
  /** Does a takeover fire the Will at the old node, as the standard has it? EMQX before 5.6 does not. */
  readonly takeoverFiresWill: boolean;
  /** Does each session leave its node before another one is asked, on a planned move? */
  readonly leavesFirst: boolean;
  /**
   * What becomes of a session whose link its node ended. `evidence`: it moves where the node is shown to be gone, else the
   * end goes on to the device. `move`, `pass`: always the one or the other.
   */
  readonly lostLink: 'evidence' | 'move' | 'pass';
}

/** How fast one device may send, a second; 0: as fast as it likes. */
export interface DeviceRates {
  /** PUBLISH packets. */
  readonly messageRate: number;
  readonly byteRate: number;
}

/** Bounds on what is remembered of one session, in bytes. */
export interface SessionLimits {
  /** Device bytes kept while no node has the session; beyond it the device is not read. */
  readonly maxOfflineBytes: number;
  /** Unacknowledged packets kept for a resend, each direction. */
  readonly maxInflightBytes: number;
  /** Subscriptions and topic aliases; beyond it the session cannot be moved. */
  readonly maxStateBytes: number;
}

/** Why a session moves to another node: a metric label. */
export const moveCauses = [
  'link-lost',
  'node-silent',
  'node-leaving',
  'drain',
  'removed',
  'move',
  'rebalance',
] as const;
export type MoveCause = (typeof moveCauses)[number];

/** The node that is left lives, and a person or the cluster wants the session elsewhere. */
export const plannedCauses: ReadonlySet<MoveCause> = new Set(['drain', 'removed', 'move', 'rebalance']);

/** One re-attach that has ended, well or not. */
export interface MigrationResult {
  readonly cause: MoveCause;
  /** Of `link-lost`: what showed that the node was gone. */
  readonly evidence: Evidence | undefined;
  readonly from: string;
  /** Absent when no node took the session. */
  readonly to: string | undefined;
  /** From the loss of the old node, or the order to move. */
  readonly durationMs: number;
  /** When it ended, on the host's clock. */
  readonly atMs: number;
  /** Did the new node have the session already? */
  readonly sessionPresent: boolean;
}

/** Where one connection may go: nodes best first, each at most once. */
export interface Placement {
  readonly candidates: Iterator<Target, undefined>;
  readonly retryPolicy: RetryPolicy;
}

/** The pool that takes a connection, as its rules decided. */
export interface PoolRoute {
  readonly name: string;
  /** How its devices are carried, where a rule says so; else as the listener has it. */
  readonly mode: 'relay' | 'session' | undefined;
  readonly moves: MovePolicy;
  /** Undefined: no limit. */
  readonly rates?: DeviceRates | undefined;
  /**
   * The longest that a connect waits for where its device was served last (persistence by client id), in ms;
   * 0: the pool does not remember.
   */
  readonly recallTimeoutMs: number;
  /** How long it is remembered where a device was served, in ms; 0: not at all. */
  readonly claimTtlMs: number;
  /** The node of this pool that a Server Reference means (MQTT 5, 4.11): its id, `host:port` or host. */
  named(reference: string): string | undefined;
  /** Has the pool a node that can take devices, besides these? */
  hasOther(nodeIds: readonly string[]): boolean;
  /** Nodes for one connection, best first; `preferred` before all others, if it can take the device. */
  place(connect: Pick<Connect, 'clientId'>, peer: Peer, preferred: string | undefined): Placement;
  /** This node of the pool, whether or not it can take devices; undefined: the pool has it not. */
  target(nodeId: string, peer: Peer): Target | undefined;
}

/** Who asked where its device was served last. */
export interface Recaller {
  recalled(nodeId: string | undefined): void;
}

/**
 * Why a dial did not lead to a served device; passive health counts these, except `local`: this machine had no
 * descriptor, source port or memory left for it, which is no fault of the node's.
 */
export type DialFailure =
  | 'refused'
  | 'timeout'
  | 'unreachable'
  | 'local'
  | 'tls'
  | 'closed-before-connack'
  | 'connack-timeout'
  | 'busy'
  | 'silent';

/** Why a connection ended: one word for logs and metrics. */
export const endReasons = [
  'device-closed',
  'device-reset',
  'device-timeout',
  'tls-failed',
  'node-closed',
  'node-reset',
  'node-timeout',
  'connect-timeout',
  'connect-rejected',
  'no-node',
  'kicked',
  'taken-over',
  'protocol-error',
  'immovable',
  'granted-less',
  'session-lost',
  'deadly-packet',
  'listener-removed',
  'pool-removed',
  'shutdown',
  'proxy-drain',
  'proxy-rebalance',
] as const;
export type EndReason = (typeof endReasons)[number];

/** A live connection as the outside may see it. */
export interface ConnectionView {
  readonly peer: Peer;
  readonly connect: ConnectSummary | undefined;
  /** The one that the node assigned, where the device brought none (MQTT 5); empty where nobody knows it. */
  readonly clientId: string;
  /** A hash of who the device says it is besides, once the broker has accepted it; else 0. */
  readonly who: number;
  readonly target: Target | undefined;
  readonly route: PoolRoute | undefined;
}

/** What a connection asks of, and tells to, the thread that runs it. */
export interface ConnectionHost {
  readonly limits: ConnectionLimits;
  readonly sessionLimits: SessionLimits;
  /** Where sessions count their packets, by type: 16 of devices, then 16 of nodes. Absent: not counted. */
  readonly messages?: Float64Array;
  /** Where sessions count PUBLISH packets, by the place that they are given. Absent: they do not. */
  readonly traffic?: Float64Array;
  /** How devices are carried here. */
  readonly mode: 'relay' | 'session';
  /** Milliseconds, monotonic. */
  now(): number;
  /** By what is known of the device; of an opaque protocol there is no CONNECT. */
  route(connect: Partial<Connect>, peer: Peer): PoolRoute | Refusal;
  /** Where a session moves that this pool had: there, or if it is gone, to the one that `route` gives it now. */
  follow(route: PoolRoute, connect: Connect, peer: Peer): PoolRoute;
  /**
   * For a connection that comes from another process: the pool of this name, as `route` gives it where the rules still send
   * the device there. Undefined: there is no such pool.
   */
  routeTo(pool: string, connect: Partial<Connect>, peer: Peer): PoolRoute | undefined;
  /** The connection keeps so many bytes of a device that no node has accepted; 0: none any more. */
  pending(holder: PendingHolder, bytes: number): void;
  /** How long a device that connects over and over is made to wait before it is placed, in ms; mostly 0. */
  reconnectDelayMs(connect: Connect, peer: Peer): number;
  /** Asks where the device was served last; `recalled` is called later, or never. */
  recall(connection: ConnectionView, asker: Recaller): void;
  /**
   * Whose turn it is to be asked for at each node: of the sessions whose node is lost, and of those whose node hangs. Their
   * answers may wait for that node, and say nothing of the one that is asked.
   */
  readonly turns: { readonly lost: TurnQueue; readonly hung: TurnQueue };
  /** What is known of nodes that hang by those of their sessions that were asked for elsewhere. */
  readonly scouts: Pick<Scouts, 'sent' | 'answered' | 'mayAsk'>;
  /** @param connackMs what the node that took the session needed for its answer to CONNECT */
  reattached(connection: ConnectionView, reattachment: MigrationResult, connackMs: number): void;
  /** A number in [0, 1). */
  random(): number;
  /**
   * Counts the connection at the node from the moment it is chosen, so that concurrent picks see it. False, and not
   * counted, when the node has as many as it may.
   */
  take(target: Target): boolean;
  /** Counts one that the node has already, however many it may have. */
  takeServed(target: Target): void;
  /** How long a new device has to wait for its turn at this node, in ms; undefined when too many wait already. */
  queue(target: Target, connectQueue: number): number | undefined;
  release(target: Target): void;
  dialFailed(target: Target, failure: DialFailure, detail: string): void;
  /** The node answered CONNACK `ms` after the dial began. */
  dialled(target: Target, ms: number): void;
  /**
   * The device is served; from now on it is listed. `isAccepted`: the broker has said CONNACK 0, so the client id is
   * this connection's, and an older one that has it too is told so. False where nobody sees how a login ends.
   * `connackAfterMs`: since its CONNECT was whole.
   */
  placed(connection: ConnectionView, isAccepted: boolean, connackAfterMs?: number): void;
  /** The connection begins to close: its session, if it has one, changes no more. Told once. */
  left(connection: ConnectionView): void;
  /**
   * A served connection's link to this node ended before the device asked for it. To be told while the connection is
   * still counted there.
   */
  linkLost(connection: ConnectionView, target: Target, cause: EndCause): void;
  /** A node that a session had found silent says something again, to that session. */
  nodeSpoke(target: Target): void;
  /** Has it, to any session, since that time on the host's clock? */
  hasSpoken(target: Target, sinceMs: number): boolean;
  /** What shows that the node is gone; undefined: nothing so far, and the answer comes by `asker.judged`, or never. */
  evidence(asker: Asker): Evidence | undefined;
  /** The answer is not wanted any more. */
  forget(asker: Asker): void;
  /** Whose turn it is at each node to send again what another may have died of. */
  readonly trials: TrialQueue;
  /** Two nodes died of this packet: the device is ended, and will be held back when it connects again. */
  convicted(connection: ConnectionView, suspect: Suspect): void;
  /** A device was turned away; `reason` is a metric label. */
  rejected(reason: string, connection: ConnectionView): void;
  /** As `placed`, of a connection that comes from another process: people are told nothing. */
  revived(connection: ConnectionView): void;
  /** In place of `ended`: another process has the connection, and nobody is told that it ended. */
  departed(connection: ConnectionView): void;
  /** Told once for each connection, after its last byte. */
  ended(connection: ConnectionView, reason: EndReason, bytesFromDevice: number, bytesToDevice: number): void;
}
