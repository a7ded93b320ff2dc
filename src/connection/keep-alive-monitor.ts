import { deviceSilenceMs, nodeSilenceMs, type Session } from '../session/index.ts';
import type { HandedMonitor } from './handed-forwarder.ts';

/** Bounds of the time between two looks; the longer is also how often a node without keep-alive is asked for a sign of life. */
const SOON_LOOK_MS = 1_000;
const IDLE_LOOK_MS = 60_000;
/** A node waits for one and a half keep-alives [MQTT-3.1.2-22]. */
const NODE_GRACE = 1.5;
const UNASKED = -1;

export type Verdict = 'alive' | 'device-gone' | 'node-silent';

/** Whose session it watches. */
interface Watched {
  readonly session: Session;
  /** Is something of the device still to be read by it? */
  isDeviceBehind(): boolean;
}

/**
 * Watches one served session for silence (rule 16), by looks at long intervals instead of a clock reading for every
 * packet: a look asks whether anything came since the one before. A node is asked by PINGREQ, and any byte is an answer.
 */
export class KeepAliveMonitor {
  /** Set it whenever the device sends anything. */
  deviceSpoke = false;
  /** Set it whenever anything is sent to the node. */
  toldNode = false;
  /** Count it up whenever the node sends anything. */
  heard = 0;
  private readonly owner: Watched;
  /** Looks since the device last spoke. */
  private quietLooks = 0;
  /** Looks since anything was last sent to the node. What the device sends may wait here, or come slowly. */
  private untoldLooks = 0;
  /** In whole milliseconds, as `checkEndsAtMs`: other numbers take memory of their own. */
  private lookAtMs: number;
  /** What was heard when the look before found a PINGREQ unanswered. */
  private heardAtLook = UNASKED;
  /** The same for a check, which ends at that time. */
  private heardAtCheck = UNASKED;
  private checkEndsAtMs = 0;

  constructor(owner: Watched, nowMs: number) {
    this.owner = owner;
    this.lookAtMs = Math.ceil(nowMs + this.intervalMs);
  }

  /** For another process. */
  describe(nowMs: number): HandedMonitor {
    const { deviceSpoke, toldNode, heard, quietLooks, untoldLooks, heardAtLook, heardAtCheck } = this;
    const [lookInMs, checkEndsInMs] = [this.lookAtMs - nowMs, this.checkEndsAtMs - nowMs];
    return {
      ...{ deviceSpoke, toldNode, heard, quietLooks, untoldLooks, heardAtLook, heardAtCheck },
      ...{ lookInMs, checkEndsInMs },
    };
  }

  /** Goes on where another process was. */
  revive({ lookInMs, checkEndsInMs, ...rest }: HandedMonitor, nowMs: number): void {
    Object.assign(this, rest);
    this.lookAtMs = Math.ceil(nowMs + lookInMs);
    this.checkEndsAtMs = Math.ceil(nowMs + checkEndsInMs);
  }

  /** How long until `look`, in ms. */
  dueMs(nowMs: number): number {
    const dueAtMs =
      this.heardAtCheck === UNASKED ? this.lookAtMs : Math.min(this.lookAtMs, this.checkEndsAtMs);
    return Math.max(1, dueAtMs - nowMs);
  }

  /** Asks for a sign of life now; returns what `isSilent` wants to know. */
  ask(): number {
    this.session.pingNode();
    return this.heard;
  }

  /** Has nothing come since `ask`, although it would have been read? */
  isSilent(heardThen: number): boolean {
    return this.heard === heardThen && this.session.pingUnanswered && !this.owner.isDeviceBehind();
  }

  /** The node may hang: it has so many ms to prove the contrary. */
  check(nowMs: number, withinMs: number): void {
    if (this.heardAtCheck !== UNASKED) return;
    this.heardAtCheck = this.ask();
    this.checkEndsAtMs = Math.ceil(nowMs + withinMs);
  }

  look(nowMs: number): Verdict {
    let verdict: Verdict = 'alive';
    if (this.heardAtCheck !== UNASKED && nowMs >= this.checkEndsAtMs) {
      if (this.isSilent(this.heardAtCheck)) verdict = 'node-silent';
      this.heardAtCheck = UNASKED;
    }
    if (nowMs < this.lookAtMs) return verdict;
    if (this.isSilent(this.heardAtLook)) verdict = 'node-silent';
    const { intervalMs, session } = this;
    this.lookAtMs = Math.ceil(nowMs + intervalMs);
    this.quietLooks = this.deviceSpoke ? 0 : this.quietLooks + 1;
    this.deviceSpoke = false;
    this.untoldLooks = this.toldNode ? 0 : this.untoldLooks + 1;
    if (this.quietLooks * intervalMs >= deviceSilenceMs(session.deviceKeepAlive)) return 'device-gone';
    if (this.mayBeMissed || session.isWithheld) session.pingNode();
    this.toldNode = false; // our own PINGREQ does not come from the device
    this.heardAtLook = session.pingUnanswered ? this.heard : UNASKED;
    return verdict;
  }

  private get session(): Session {
    return this.owner.session;
  }

  /** A third of one and a half keep-alives of the device, so that it is given up between 1.5 and 2 keep-alives. */
  private get intervalMs(): number {
    const deviceMs = deviceSilenceMs(this.session.deviceKeepAlive);
    const nodeMs = nodeSilenceMs(this.session.nodeKeepAlive);
    return Math.max(SOON_LOOK_MS, Math.min(deviceMs / 3, nodeMs / 2, IDLE_LOOK_MS));
  }

  /** Would the node have heard nothing for its whole keep-alive by the look after the next, or for longer than it waits? */
  private get mayBeMissed(): boolean {
    const nodeMs = nodeSilenceMs(this.session.nodeKeepAlive);
    if (nodeMs === Number.POSITIVE_INFINITY) return this.untoldLooks > 0;
    const untoldMs = (this.untoldLooks + 2) * this.intervalMs;
    return untoldMs > (this.untoldLooks > 0 ? nodeMs : nodeMs * NODE_GRACE);
  }
}
