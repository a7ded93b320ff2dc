import { deviceSilenceMs, nodeSilenceMs, type Session } from '../session/index.ts';

/** Where neither side named a keep-alive: how often the node is asked for a sign of life. */
const IDLE_CHECK_MS = 60_000;

export type Verdict = 'alive' | 'device-gone' | 'node-silent';

/**
 * Watches one served session for silence (rule 16), by looks at long intervals instead of a clock reading for every
 * packet: a look asks whether anything came since the one before.
 */
export class Vigil {
  readonly intervalMs: number;
  private readonly session: Session;
  private readonly looksToDevice: number;
  private readonly looksToNode: number;
  private quietLooks = 0;
  private asked = false;
  /** When the next look is due, on the clock that is given. */
  dueAtMs: number;
  /** Set by whoever passes the device's bytes. */
  deviceSpoke = false;

  constructor(session: Session, nowMs: number) {
    this.session = session;
    const deviceMs = deviceSilenceMs(session.deviceKeepAlive);
    const nodeMs = nodeSilenceMs(session.nodeKeepAlive);
    // A third of the device's 1.5 keep-alives: it is given up between 1.5 keep-alives and 2.
    this.intervalMs = Math.max(1_000, Math.min(deviceMs / 3, nodeMs / 2, IDLE_CHECK_MS));
    this.dueAtMs = nowMs + this.intervalMs;
    this.looksToDevice = Math.ceil(deviceMs / this.intervalMs);
    this.looksToNode = Math.max(1, Math.floor(nodeMs / this.intervalMs) - 1);
  }

  look(): Verdict {
    const { session } = this;
    this.dueAtMs += this.intervalMs;
    if (this.asked && session.pingUnanswered) return 'node-silent';
    this.quietLooks = this.deviceSpoke ? 0 : this.quietLooks + 1;
    this.deviceSpoke = false;
    if (this.quietLooks >= this.looksToDevice) return 'device-gone';
    if (this.quietLooks >= this.looksToNode) session.pingNode();
    this.asked = session.pingUnanswered;
    return 'alive';
  }
}
