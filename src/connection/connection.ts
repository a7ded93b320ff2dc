import { isRetryable, peekConnack } from '../mqtt/connack.ts';
import { type Connect, decodeConnect } from '../mqtt/connect.ts';
import { refusalConnack } from '../mqtt/reason-codes.ts';
import { HeldBytes } from './held-bytes.ts';
import type { Conversation, EndCause, Link, Peer, Target, Wire } from './wire.ts';
import type { ConnectionView, DialFailure, EndReason, Placement, World } from './world.ts';

/**
 * The life of one device connection, without I/O:
 *
 *   greeting ──CONNECT──► dialling ──opened──► answering ──CONNACK──► relay ──► closing
 *                            ▲  └──── failed, timed out, busy ────┘
 *                            └────────── next candidate
 *
 * Until a node has accepted the CONNECT, everything that the device sent is held, so that the next candidate can
 * be given the same bytes; from then on the engine moves the bytes by itself.
 * Session mode takes the place of `relay` behind the same CONNACK (see `answered`).
 */
type Phase = 'greeting' | 'dialling' | 'answering' | 'relay' | 'closing';

const FAILURE_OF_ERRNO: Readonly<Record<string, DialFailure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  ETIMEDOUT: 'timeout',
};

const DEVICE_END: Readonly<Record<EndCause, EndReason>> = {
  fin: 'device-closed',
  reset: 'device-reset',
  timeout: 'device-timeout',
  tls: 'tls-failed',
  error: 'device-timeout',
};

export class Connection implements Conversation, ConnectionView {
  readonly peer: Peer;
  connect: Connect | undefined;
  target: Target | undefined;
  /** When the device was served, on the world's clock. */
  placedAtMs = 0;

  private readonly wire: Wire;
  private readonly world: World;
  private phase: Phase = 'greeting';
  private reason: EndReason | undefined;
  private held: HeldBytes | undefined = new HeldBytes();
  private answer: HeldBytes | undefined;
  private placement: Placement | undefined;
  private attempts = 0;
  private deadlineMs = 0;
  private dialledAtMs = 0;
  private link: Link = -1;
  /** Whether the connection is counted at `target`. */
  private counted = false;

  constructor(wire: Wire, peer: Peer, world: World) {
    this.wire = wire;
    this.peer = peer;
    this.world = world;
    wire.setTimer(world.limits.connectTimeoutMs);
  }

  /** Device bytes before the splice: first the CONNECT, then whatever was pipelined behind it. */
  deviceData(bytes: Uint8Array, start: number, end: number): void {
    if (this.phase === 'closing' || this.held === undefined) return;
    this.held.append(bytes, start, end);
    if (this.phase === 'greeting') return this.greet(this.held);
    if (this.phase === 'answering') this.wire.toNode(this.link, bytes, start, end);
    if (this.held.length > this.world.limits.maxPacketBytes) this.wire.holdDevice(true);
  }

  private greet(held: HeldBytes): void {
    const result = decodeConnect(held.bytes, 0, held.length, this.world.limits.maxPacketBytes);
    if (result.kind === 'incomplete') return;
    if (result.kind === 'refused') return this.refuse(result.fault, result.reply);
    this.connect = result.connect;
    const placement = this.world.place(result.connect, this.peer);
    if (typeof placement === 'string') {
      return this.refuse(placement, refusalConnack(result.connect.protocolVersion, placement));
    }
    this.placement = placement;
    this.deadlineMs = this.world.now() + placement.patience.deadlineMs;
    this.dialNext(placement);
  }

  /** Tries the next best node, within the bounds on attempts and time. */
  private dialNext(placement: Placement): void {
    const left = this.deadlineMs - this.world.now();
    const next =
      this.attempts < placement.patience.maxAttempts && left > 0 ? placement.candidates.next() : undefined;
    if (next === undefined || next.done) {
      const version = (this.connect as Connect).protocolVersion;
      return this.refuse('no-node', refusalConnack(version, 'server-unavailable'), 'no-node');
    }
    this.attempts++;
    this.phase = 'dialling';
    this.dialledAtMs = this.world.now();
    this.take(next.value);
    this.link = this.wire.dial(next.value);
    this.wire.setTimer(Math.min(placement.patience.connectTimeoutMs, left));
  }

  private take(target: Target): void {
    this.target = target;
    this.counted = true;
    this.world.take(target);
  }

  private release(): void {
    if (this.counted) this.world.release(this.target as Target);
    this.counted = false;
  }

  linkOpened(link: Link): void {
    const { held, placement } = this;
    if (held === undefined || placement === undefined) return;
    this.phase = 'answering';
    this.wire.toNode(link, held.bytes, 0, held.length);
    const left = this.deadlineMs - this.world.now();
    this.wire.setTimer(Math.max(1, Math.min(placement.patience.connackTimeoutMs, left)));
  }

  linkFailed(_link: Link, errno: string): void {
    this.attemptFailed(FAILURE_OF_ERRNO[errno] ?? 'unreachable', errno);
  }

  /** The node's first bytes decide whether it serves this device. */
  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    if (this.phase !== 'answering') return;
    this.answer ??= new HeldBytes();
    this.answer.append(bytes, start, end);
    const { answer } = this;
    const peek = peekConnack(answer.bytes, 0, answer.length);
    if (peek.kind === 'incomplete') return;
    if (peek.kind === 'other')
      return this.abandonLink('closed-before-connack', 'first packet is neither CONNACK nor AUTH');
    if (peek.kind === 'connack' && isRetryable((this.connect as Connect).protocolVersion, peek.code)) {
      return this.abandonLink('busy', `CONNACK 0x${peek.code.toString(16).padStart(2, '0')}`);
    }
    this.answered(link, answer);
  }

  /** The node has accepted (or finally refused) the device: hand the bytes over to the engine. */
  private answered(link: Link, answer: HeldBytes): void {
    this.phase = 'relay';
    this.placedAtMs = this.world.now();
    this.world.dialled(this.target as Target, this.placedAtMs - this.dialledAtMs);
    this.world.placed(this);
    // The device may have ended meanwhile: the splice carries that over, and the node's time to end begins.
    this.wire.setTimer(this.reason === undefined ? 0 : this.world.limits.halfCloseTimeoutMs);
    this.wire.toDevice(answer.bytes, 0, answer.length);
    this.wire.splice(link);
    this.wire.holdDevice(false);
    this.held = undefined;
    this.answer = undefined;
    this.placement = undefined;
  }

  private abandonLink(failure: DialFailure, detail: string): void {
    this.wire.endNode(this.link, 'reset');
    this.attemptFailed(failure, detail);
  }

  private attemptFailed(failure: DialFailure, detail: string): void {
    if (this.placement === undefined || this.target === undefined) return;
    this.release();
    this.world.dialFailed(this.target, failure, detail);
    this.target = undefined;
    this.answer = undefined;
    this.link = -1;
    this.dialNext(this.placement);
  }

  deviceEnded(cause: EndCause): void {
    this.reason ??= DEVICE_END[cause];
    if (this.phase === 'relay') return this.relayEnded();
    if (cause === 'tls') {
      this.world.rejected('tls-failed', this);
      return this.close('flush'); // its alert is on the way, which a reset could overtake
    }
    // A FIN behind a whole CONNECT is a half-close: the device may still read, and its node is still found.
    if (cause === 'fin' && (this.phase === 'dialling' || this.phase === 'answering')) return;
    this.close('reset');
  }

  linkEnded(_link: Link, cause: EndCause): void {
    if (this.phase === 'answering') return this.abandonLink('closed-before-connack', cause);
    if (this.phase !== 'relay') return;
    this.release();
    if (this.reason === undefined) this.world.linkLost(this.target as Target, cause);
    this.reason ??= cause === 'fin' ? 'node-closed' : cause === 'reset' ? 'node-reset' : 'node-timeout';
    this.relayEnded();
  }

  /** The engine carries the end over to the other side; only how long that may take is decided here. */
  private relayEnded(): void {
    this.wire.setTimer(this.world.limits.halfCloseTimeoutMs);
  }

  timer(): void {
    if (this.phase === 'greeting') return this.refuse('connect-timeout', undefined, 'connect-timeout');
    if (this.phase === 'dialling') return this.abandonLink('timeout', 'no answer to SYN in time');
    if (this.phase === 'answering') return this.abandonLink('connack-timeout', 'no CONNACK in time');
    // Half-closed, or flushing to a device that does not read: it has had its time.
    this.phase = 'relay';
    this.close('reset');
  }

  /** Ends the connection from outside. The node's link is reset, so that a Will fires as the device's absence asks. */
  end(reason: EndReason): void {
    if (this.phase === 'closing') return;
    this.reason ??= reason;
    this.close('flush');
  }

  private refuse(label: string, reply: Uint8Array | undefined, reason: EndReason = 'connect-rejected'): void {
    this.world.rejected(label, this);
    this.reason ??= reason;
    if (reply === undefined) return this.close('reset');
    this.wire.toDevice(reply, 0, reply.length);
    this.close('flush');
  }

  private close(how: 'flush' | 'reset'): void {
    if (this.phase === 'closing') return;
    this.phase = 'closing';
    this.held = undefined;
    // A device that does not read its last bytes may not hold the socket for ever.
    this.wire.setTimer(how === 'flush' ? this.world.limits.halfCloseTimeoutMs : 0);
    if (this.link >= 0) this.wire.endNode(this.link, 'reset');
    this.wire.endDevice(how);
  }

  closed(bytesFromDevice: number, bytesToDevice: number): void {
    this.phase = 'closing';
    this.release();
    this.world.ended(this, this.reason ?? 'device-closed', bytesFromDevice, bytesToDevice);
  }
}
