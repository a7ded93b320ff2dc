import { deviceSilenceMs, nodeSilenceMs, type Session } from '../session/index.ts';

/** The longest between two looks; and where no keep-alive was named, how often the node is asked for a sign of life. */
const IDLE_LOOK_MS = 60_000;
const NEVER = Number.POSITIVE_INFINITY;

export type Verdict = 'alive' | 'device-gone' | 'node-silent';

/**
 * Watches one served session for silence (rule 16), by looks at long intervals instead of a clock reading for every
 * packet: a look asks whether anything came since the one before. A node is asked by PINGREQ, and any byte is an answer.
 */
export class Vigil {
  /** To be set whenever the device says anything. */
  deviceSpoke = false;
  /** To be counted up whenever the node says anything. */
  heard = 0;
  private readonly session: Session;
  private readonly intervalMs: number;
  private readonly looksToDevice: number;
  private readonly looksToNode: number;
  private quietLooks = 0;
  private lookAtMs: number;
  /** What was heard when the look before found a PINGREQ unanswered. */
  private heardAtLook = -1;
  /** The same for a check, and when it ends. */
  private heardAtCheck = -1;
  private checkEndsAtMs = NEVER;

  constructor(session: Session, nowMs: number) {
    this.session = session;
    const deviceMs = deviceSilenceMs(session.deviceKeepAlive);
    const nodeMs = nodeSilenceMs(session.nodeKeepAlive);
    // A third of the device's 1.5 keep-alives: it is given up between 1.5 keep-alives and 2.
    this.intervalMs = Math.max(1_000, Math.min(deviceMs / 3, nodeMs / 2, IDLE_LOOK_MS));
    this.lookAtMs = nowMs + this.intervalMs;
    this.looksToDevice = Math.ceil(deviceMs / this.intervalMs);
    this.looksToNode = nodeMs === NEVER ? 1 : Math.max(1, Math.floor(nodeMs / this.intervalMs) - 1);
  }

  /** How long until `look`, in ms. */
  dueMs(nowMs: number): number {
    return Math.max(1, Math.min(this.lookAtMs, this.checkEndsAtMs) - nowMs);
  }

  /** Asks for a sign of life now; returns what `isSilent` wants to know. */
  ask(): number {
    this.session.pingNode();
    return this.heard;
  }

  /** Has nothing come since `ask`? */
  isSilent(heardThen: number): boolean {
    return this.heard === heardThen && this.session.pingUnanswered;
  }

  /** The node may hang: it has so many ms to prove the contrary. */
  check(nowMs: number, withinMs: number): void {
    if (this.checkEndsAtMs !== NEVER) return;
    this.heardAtCheck = this.ask();
    this.checkEndsAtMs = nowMs + withinMs;
  }

  look(nowMs: number): Verdict {
    if (nowMs >= this.checkEndsAtMs) {
      this.checkEndsAtMs = NEVER;
      if (this.isSilent(this.heardAtCheck)) return 'node-silent';
    }
    if (nowMs < this.lookAtMs) return 'alive';
    this.lookAtMs = nowMs + this.intervalMs;
    if (this.isSilent(this.heardAtLook)) return 'node-silent';
    this.quietLooks = this.deviceSpoke ? 0 : this.quietLooks + 1;
    this.deviceSpoke = false;
    if (this.quietLooks >= this.looksToDevice) return 'device-gone';
    if (this.quietLooks >= this.looksToNode) this.session.pingNode();
    this.heardAtLook = this.session.pingUnanswered ? this.heard : -1;
    return 'alive';
  }
}
