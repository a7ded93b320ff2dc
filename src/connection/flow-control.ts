import type { Session } from '../session/index.ts';
import type { DeviceRates } from './connection-host.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { HandedFlow } from './handed-forwarder.ts';
import { LaterTurns, type LaterTurnsOwner } from './later-turns.ts';
import { Meter } from './meter.ts';
import type { Link } from './wire.ts';

/** Both are read, and nobody has been too fast. */
export const freeFlow: HandedFlow = { holdsDevice: false, isPaused: false, meter: undefined };

/**
 * Decides, for one session, when the device and the node's link are read: not while the session has more of theirs than
 * it can take, and not while the device sends faster than it may. What is left is gone on with later.
 */
export class FlowControl {
  /** The device is not read. */
  holdsDevice = false;
  readonly later: LaterTurns;
  private readonly session: Session;
  private readonly connection: Pick<ForwarderHost, 'host' | 'wire'>;
  private readonly meter: Meter | undefined;
  /** The device waits because it was too fast. */
  private isPaused = false;
  /** The link that is not read; -1: none. */
  private heldLink: Link = -1;

  constructor(
    session: Session,
    connection: FlowControl['connection'],
    rates: DeviceRates | undefined,
    owner: LaterTurnsOwner,
  ) {
    this.session = session;
    this.connection = connection;
    this.later = new LaterTurns(connection.wire, owner);
    this.meter = rates && new Meter(rates);
  }

  /** For another process; undefined while bytes of either side are still at work. */
  describe(): HandedFlow | undefined {
    const { holdsDevice, isPaused, meter, connection } = this;
    if (this.heldLink >= 0 || this.later.isAsked) return undefined;
    return { holdsDevice, isPaused, meter: meter?.describe(connection.host.now()) };
  }

  /** Goes on where another process was; the engine holds the device already. */
  revive({ holdsDevice, isPaused, meter }: HandedFlow): void {
    this.holdsDevice = holdsDevice;
    this.isPaused = isPaused;
    if (meter !== undefined) this.meter?.revive(meter, this.connection.host.now());
  }

  /** Packets of those that wait that may go at once; undefined: all. */
  get step(): number | undefined {
    return this.meter?.step;
  }

  /** How long the device has to wait because it is too fast, in ms. While no node serves it, it waits for a node instead. */
  pauseMs(isServed: boolean): number {
    if (this.meter === undefined || !isServed) return 0;
    return this.meter.waitMs(this.connection.host.now());
  }

  /**
   * Call it after every call of the session.
   * @param link of the session, or -1
   * @returns whether the device has just begun to wait because it is too fast
   */
  update(link: Link, isServed: boolean): boolean {
    const { session, meter, later } = this;
    if (meter !== undefined) this.bill(meter);
    const pauseMs = this.pauseMs(isServed);
    const { hasNodeRest, hasDeviceRest } = session;
    if (hasNodeRest !== this.heldLink >= 0) this.holdNode(hasNodeRest, link);
    if (hasNodeRest) later.askForNode();
    if (hasDeviceRest && pauseMs === 0) later.askForDevice(link);
    const isNewPause = pauseMs > 0 && !this.isPaused;
    this.isPaused = pauseMs > 0;
    const holds = session.holdsDevice;
    if (holds !== this.holdsDevice) this.connection.wire.holdDevice(holds);
    this.holdsDevice = holds;
    return isNewPause;
  }

  private bill(meter: Meter): void {
    const nowMs = this.connection.host.now();
    this.session.bill(meter, nowMs);
    this.session.pause(meter.waitMs(nowMs) > 0);
  }

  private holdNode(hold: boolean, link: Link): void {
    const held = hold ? link : this.heldLink;
    this.heldLink = hold ? link : -1;
    this.connection.wire.holdNode(held, hold);
  }
}
