import type { Connect } from '../mqtt/connect.ts';
import type { Refusal } from '../routing/rules.ts';
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
export interface Patience {
  /** TCP connect, each attempt. */
  readonly connectTimeoutMs: number;
  /** From the connect to CONNACK, each attempt. */
  readonly connackTimeoutMs: number;
  readonly maxAttempts: number;
  /** All attempts together. */
  readonly deadlineMs: number;
}

/** Where one connection may go: nodes best first, each at most once. */
export interface Placement {
  readonly candidates: Iterator<Target, undefined>;
  readonly patience: Patience;
}

/** Why a dial did not lead to a served device; passive health counts these. */
export type DialFailure =
  | 'refused'
  | 'timeout'
  | 'unreachable'
  | 'closed-before-connack'
  | 'connack-timeout'
  | 'busy';

/** Why a connection ended: one word for logs and metrics. */
export type EndReason =
  | 'device-closed'
  | 'device-reset'
  | 'device-timeout'
  | 'tls-failed'
  | 'node-closed'
  | 'node-reset'
  | 'node-timeout'
  | 'connect-timeout'
  | 'connect-rejected'
  | 'no-node'
  | 'kicked'
  | 'shutdown';

/** A live connection as the outside may see it. */
export interface ConnectionView {
  readonly peer: Peer;
  readonly connect: Connect | undefined;
  readonly target: Target | undefined;
}

/** What a connection asks of, and tells to, the thread that runs it. */
export interface World {
  readonly limits: ConnectionLimits;
  /** Milliseconds, monotonic. */
  now(): number;
  place(connect: Connect, peer: Peer): Placement | Refusal;
  /** Counts the connection at the node from the moment it is dialled, so that concurrent picks see it. */
  take(target: Target): void;
  release(target: Target): void;
  dialFailed(target: Target, failure: DialFailure, detail: string): void;
  /** The node answered CONNACK `ms` after the dial began. */
  dialled(target: Target, ms: number): void;
  /** The device is served; from now on it is listed. */
  placed(connection: ConnectionView): void;
  /** A served connection's link to its node ended before the device asked for it. */
  linkLost(target: Target, cause: EndCause): void;
  /** A device was turned away; `reason` is a metric label. */
  rejected(reason: string, connection: ConnectionView): void;
  /** Told once for each connection, after its last byte. */
  ended(connection: ConnectionView, reason: EndReason, bytesFromDevice: number, bytesToDevice: number): void;
}
