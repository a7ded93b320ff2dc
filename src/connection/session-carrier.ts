import { isRetryable } from '../mqtt/connack.ts';
import type { Connect } from '../mqtt/connect.ts';
import { type ReasonCode, reasonCode, refusalConnack } from '../mqtt/reason-codes.ts';
import { type EndWhy, type Immovable, Session, type SessionEvent, type SessionFacts } from '../session/index.ts';
import { Attempts } from './attempts.ts';
import type { Carrier, Shell } from './carrier.ts';
import type { HeldBytes } from './held-bytes.ts';
import { Move } from './move.ts';
import { Purge } from './purge.ts';
import type { Seat } from './seat.ts';
import { Vigil } from './vigil.ts';
import type { EndCause, Link, Target } from './wire.ts';
import type { EndReason, MoveCause, PoolRoute, Reattachment } from './world.ts';

/** Re-attachments that `client inspect` shows. */
const HISTORY = 10;
/** The first wait after every candidate has failed a re-attach; doubled each time, with jitter. */
const BACKOFF_MS = 250;

const REASON_OF_END: Readonly<Record<Exclude<EndWhy, 'asked'>, EndReason>> = {
  'device-protocol-error': 'protocol-error',
  'packet-too-large': 'protocol-error',
  'granted-less': 'granted-less',
  'promised-less': 'granted-less',
  'session-lost': 'session-lost',
  'too-much-held': 'session-lost',
};

/**
 * Session mode: the session follows the packets, so that when its node is lost, leaves or is drained, another node
 * takes it while the device stays connected. Rules: `docs/session-mode.md`.
 *
 *   first node:  dial ──► CONNECT ──► accepted ──► served
 *   node lost:   served ──► detached ──► wait for a turn ──► dial ──► CONNECT again ──► resumed ──► served
 *   planned:     served ──► dial ──► detached ──► CONNECT again ──► resumed ──► goodbye at the old node
 */
export class SessionCarrier implements Carrier {
  readonly session: Session;
  /** The last re-attachments, newest last. */
  history: readonly Reattachment[] = NONE;

  private readonly shell: Shell;
  private readonly connect: Connect;
  private readonly route: PoolRoute;
  private attempts: Attempts | undefined;
  /** The node that serves the device, and the link to it; during a planned move the old ones. */
  private seat: Seat | undefined;
  private link: Link = -1;
  /** The link whose bytes the session takes. */
  private current: Link = -1;
  private move: Move | undefined;
  private vigil: Vigil | undefined;
  private purge: Purge | undefined;
  private events: SessionEvent[] | undefined;
  private holds = false;
  /** The device sent DISCONNECT, which waits for the next node. */
  private leaving = false;
  /** How the node's link ends with the device: reset where the device vanished, so that its Will fires. */
  private nodeEnd: 'flush' | 'reset' = 'reset';

  constructor(shell: Shell, connect: Connect, route: PoolRoute, held: HeldBytes) {
    this.shell = shell;
    this.connect = connect;
    this.route = route;
    const { limits, sessionLimits } = shell.world;
    const raw = held.bytes.subarray(0, connect.byteLength);
    this.session = new Session(
      connect,
      raw,
      {
        ...sessionLimits,
        maxPacketBytes: limits.maxPacketBytes,
        clientId: `breakwater-${shell.peer.remoteAddress}-${shell.peer.remotePort}-${Math.floor(shell.world.random() * 1e9)}`,
        takeoverFiresWill: route.takeoverFiresWill,
      },
      this,
    );
    this.session.fromDevice(held.bytes, connect.byteLength, held.length);
  }
}

const NONE: readonly Reattachment[] = [];
