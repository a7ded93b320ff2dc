import { keepAliveMs, type Session } from '../session/index.ts';
import type { HandedMonitor } from './handed-forwarder.ts';

/** Bounds of the time between two looks; the longer is also how often a node without keep-alive is asked for a sign of life. */
const SOON_LOOK_MS = 500;
const IDLE_LOOK_MS = 60_000;
/** A node waits for one and a half keep-alives [MQTT-3.1.2-22]. */
const NODE_GRACE = 1.5;
const UNASKED = -1;

/** Whose session it watches. */
interface Watched {
  readonly session: Session;
  /** Is something of the device still to be read by it? */
  isDeviceBehind(): boolean;
}

/**
 * Watches the node of one served session for silence (rule 16), by looks at long intervals instead of a clock reading for every
 * packet: a look asks whether anything came since the one before. A node is asked by PINGREQ, and any byte is an answer.
 *
 * Whether the device keeps its keep-alive is for its node to judge. A PINGREQ of ours is one of the device to it, so a device that
 * has fallen silent is not vouched for: its node would keep it as long as we ask.
 */
export class KeepAliveMonitor {
  /** Set it whenever the device sends anything. At the beginning CONNECT is on its way, or has just been answered. */
  deviceSpoke = true;
  /** Set it whenever anything is sent to the node. */
  toldNode = true;
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
  static revive(owner: Watched, handed: HandedMonitor, nowMs: number): KeepAliveMonitor {
    const { lookInMs, checkEndsInMs, ...rest } = handed;
    const monitor = Object.assign(new KeepAliveMonitor(owner, nowMs), rest);
    monitor.lookAtMs = Math.ceil(nowMs + lookInMs);
    monitor.checkEndsAtMs = Math.ceil(nowMs + checkEndsInMs);
    return monitor;
  }

  /** How long until `look`, in ms. */
  dueMs(nowMs: number): number {
    const dueAtMs =
      this.heardAtCheck === UNASKED ? this.lookAtMs : Math.min(this.lookAtMs, this.checkEndsAtMs);
    return Math.max(1, dueAtMs - nowMs);
  }

  /**
   * The device has been heard a moment ago, at most half a keep-alive, so that its node may be asked in its name; or the node does not
   * count the time.
   */
  mayAsk(nowMs: number): boolean {
    return this.deviceSpoke || this.session.pingUnanswered || this.isToVouch(nowMs);
  }

  /**
   * Without a keep-alive at the node nothing is put off. Where the node's is shorter than what the device was told, which another node
   * has told it, it is vouched for until its own is over.
   */
  private isToVouch(nowMs: number): boolean {
    const { deviceMs, nodeMs } = this;
    return nodeMs === Number.POSITIVE_INFINITY || (nodeMs < deviceMs && this.quietMs(nowMs) < deviceMs);
  }

  /** For at least so long the device has said nothing, in ms. */
  private quietMs(nowMs: number): number {
    const { intervalMs } = this;
    return this.deviceSpoke ? 0 : this.quietLooks * intervalMs + nowMs - (this.lookAtMs - intervalMs);
  }

  /** Has the device been silent for so long that its node may end it for that? */
  isOverdue(nowMs: number): boolean {
    const { deviceMs, nodeMs } = this;
    return nodeMs < Number.POSITIVE_INFINITY && this.quietMs(nowMs) >= Math.max(deviceMs, nodeMs);
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

  /** The node may hang: it has so many ms to prove the contrary. A device that its node may end is not vouched for. */
  check(nowMs: number, withinMs: number): void {
    if (this.heardAtCheck !== UNASKED || this.isOverdue(nowMs)) return;
    this.heardAtCheck = this.ask();
    this.checkEndsAtMs = Math.ceil(nowMs + withinMs);
  }

  /** True: the node is silent. */
  look(nowMs: number): boolean {
    let isSilent = false;
    if (this.heardAtCheck !== UNASKED && nowMs >= this.checkEndsAtMs) {
      isSilent = this.isSilent(this.heardAtCheck);
      this.heardAtCheck = UNASKED;
    }
    if (nowMs < this.lookAtMs) return isSilent;
    if (this.isSilent(this.heardAtLook)) isSilent = true;
    const { session } = this;
    const vouches = this.deviceSpoke || this.isToVouch(nowMs);
    this.lookAtMs = Math.ceil(nowMs + this.intervalMs);
    this.quietLooks = this.deviceSpoke ? 0 : this.quietLooks + 1;
    this.deviceSpoke = false;
    this.untoldLooks = this.toldNode ? 0 : this.untoldLooks + 1;
    if (vouches && (this.mayBeMissed || session.isWithheld)) session.pingNode();
    this.toldNode = false; // our own PINGREQ does not come from the device
    this.heardAtLook = session.pingUnanswered ? this.heard : UNASKED;
    return isSilent;
  }

  private get session(): Session {
    return this.owner.session;
  }

  /** What the device was told. */
  private get deviceMs(): number {
    return keepAliveMs(this.session.deviceKeepAlive);
  }

  /** What the node goes by. */
  private get nodeMs(): number {
    return keepAliveMs(this.session.nodeKeepAlive);
  }

  private get intervalMs(): number {
    return Math.max(SOON_LOOK_MS, Math.min(this.deviceMs / 2, this.nodeMs / 2, IDLE_LOOK_MS));
  }

  /** Would the node have heard nothing for its whole keep-alive by the look after the next, or for longer than it waits? */
  private get mayBeMissed(): boolean {
    const { nodeMs } = this;
    if (nodeMs === Number.POSITIVE_INFINITY) return this.untoldLooks > 0;
    const untoldMs = (this.untoldLooks + 2) * this.intervalMs;
    return untoldMs > (this.untoldLooks > 0 ? nodeMs : nodeMs * NODE_GRACE);
  }
}
