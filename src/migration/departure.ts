import type { Clock, Timers } from '../base/time.ts';
import type { EndReason } from '../connection/connection-host.ts';
import { MoveMeter } from './move-meter.ts';

/** Devices leave a proxy at a bounded rate: it is drained, or has more than its share. */

const TICK_MS = 100;
const TELL_MS = 1_000;
/** Devices that come to a drained proxy stay for so long at least: the way to the others may not be open yet. */
const LATE_STAY_MS = 30_000;
/** A judgement whether devices come back needs so many, and so long for the last of them. */
const JUDGED_LEAST = 20;
const COME_BACK_MS = 3_000;

/** Ends at most so many devices of those that were here when the departure of this number began. */
export type Dismiss = (
  departure: number,
  count: number,
  reason: EndReason,
) => Promise<{ readonly ended: number; readonly left: number }>;

export interface DepartureOptions {
  /** Each higher than the last; the following ones are for those that come while it is under way. */
  readonly number: () => number;
  readonly dismiss: Dismiss;
  /** Devices that are connected. */
  readonly devices: () => number;
  readonly reason: EndReason;
  /** Devices a second. */
  readonly rate: number;
  readonly delayMs: number;
  /** Devices that leave at most. Absent: all, and those too that come later, until it is stopped. */
  readonly most?: number | undefined;
  /** What an older process has done of it. */
  readonly earlier?: EarlierDeparture | undefined;
  /** Nobody leaves now: connections go over to another process. */
  readonly isHeld: () => boolean;
  /** Called about once a second while devices leave, and at each change of state. */
  readonly onProgress: (progress: DepartureProgress) => void;
  readonly clock: Clock;
  readonly timers: Timers;
}

interface EarlierDeparture {
  readonly state: DepartureState;
  /** Devices that have left, and that were connected when it began. */
  readonly moved: number;
  readonly before: number;
}

/** A departure as another process goes on with it. */
export interface HandedDeparture extends EarlierDeparture {
  readonly rate: number;
  /** Until the first one leaves; negative: so long ago. */
  readonly delayMs: number;
  readonly most?: number | undefined;
}

/** `blocked`: those that left come back here. */
type DepartureState = 'waiting' | 'moving' | 'blocked' | 'done';

export interface DepartureProgress {
  readonly state: DepartureState;
  /** Devices that have left. */
  readonly moved: number;
  readonly left: number;
  /** Devices a second that may leave, and that left of late. */
  readonly rate: number;
  readonly pace: number;
}

/** One departure; it runs from its making until `stop`, or with `most` until it is done or blocked. */
export class Departure {
  private readonly options: DepartureOptions;
  private readonly meter: MoveMeter;
  private readonly beginsAtMs: number;
  private readonly before: number;
  private departure: number | undefined;
  private notedAtMs = 0;
  private state: DepartureState;
  private left: number;
  private pace = 0;
  private toldAtMs = Number.NEGATIVE_INFINITY;
  private timer: unknown;
  private isOver: boolean;

  constructor(options: DepartureOptions) {
    this.options = options;
    const nowMs = options.clock.now();
    const { most = Number.POSITIVE_INFINITY, earlier, delayMs, rate } = options;
    const { state, moved, before } = earlier ?? { state: 'waiting', moved: 0, before: options.devices() };
    this.beginsAtMs = nowMs + delayMs;
    this.meter = new MoveMeter(rate, nowMs, { moved, failed: 0 });
    this.state = state;
    this.before = before;
    this.left = state === 'done' ? 0 : Math.min(options.devices(), most - moved);
    this.isOver = this.isThrough && options.most !== undefined;
    if (state === 'done') {
      this.departure = options.number(); // who is here now came late
      this.notedAtMs = nowMs;
    }
    if (!this.isOver) this.schedule(0);
  }

  private get isThrough(): boolean {
    return this.state === 'done' || this.state === 'blocked';
  }

  describe(): HandedDeparture {
    const { options, state, before, meter } = this;
    const delayMs = this.beginsAtMs - options.clock.now();
    return { rate: meter.sessionsPerSecond, delayMs, most: options.most, state, moved: meter.moved, before };
  }

  progress(): DepartureProgress {
    const { state, left, pace, meter } = this;
    return { state, moved: meter.moved, left, rate: meter.sessionsPerSecond, pace };
  }

  setRate(rate: number): void {
    this.meter.sessionsPerSecond = rate;
  }

  stop(): void {
    this.isOver = true;
    this.options.timers.clearTimeout(this.timer);
  }

  private schedule(ms: number): void {
    this.timer = this.options.timers.setTimeout(() => void this.tick(), ms);
  }

  private async tick(): Promise<void> {
    const { options, state } = this;
    if (options.isHeld()) return this.schedule(TICK_MS);
    if (options.clock.now() >= this.beginsAtMs) await this.letSomeGo();
    if (this.isOver) return;
    this.tell(state);
    if (this.isThrough && options.most !== undefined) this.isOver = true;
    else this.schedule(TICK_MS);
  }

  private async letSomeGo(): Promise<void> {
    const { options, meter } = this;
    const nowMs = options.clock.now();
    if (this.departure === undefined || this.isLateOnesTurn(nowMs)) await this.note(nowMs);
    if (this.isOver) return;
    const still = (options.most ?? Number.POSITIVE_INFINITY) - meter.moved;
    const room = Math.min(meter.room(nowMs), still, this.left);
    if (room >= 1 && this.departure !== undefined) {
      const { ended, left } = await options.dismiss(this.departure, room, options.reason);
      meter.began(ended, nowMs);
      for (let i = 0; i < ended; i++) meter.ended(true);
      this.left = Math.min(left, still - ended);
    }
    if (this.left <= 0) this.state = 'done';
    else this.state = this.comeBack(nowMs) ? 'blocked' : 'moving';
  }

  /** From now on those leave that are here. */
  private async note(nowMs: number): Promise<void> {
    const { options, meter } = this;
    this.departure = options.number();
    this.notedAtMs = nowMs;
    const { left } = await options.dismiss(this.departure, 0, options.reason);
    this.left = Math.min(left, (options.most ?? Number.POSITIVE_INFINITY) - meter.moved);
  }

  private isLateOnesTurn(nowMs: number): boolean {
    const { most, devices } = this.options;
    return most === undefined && this.left <= 0 && nowMs - this.notedAtMs >= LATE_STAY_MS && devices() > 0;
  }

  /** Of those that have left, most are here again: whoever balances before the proxies sends them back. */
  private comeBack(nowMs: number): boolean {
    const { moved } = this.meter;
    if (this.options.most === undefined || moved < JUDGED_LEAST) return false;
    if (nowMs - this.beginsAtMs < COME_BACK_MS) return false;
    return this.before - this.options.devices() < moved / 2;
  }

  private tell(was: DepartureState): void {
    const nowMs = this.options.clock.now();
    const isDue = this.state === 'moving' && nowMs - this.toldAtMs >= TELL_MS;
    if (!isDue && this.state === was) return;
    this.pace = this.meter.pace(nowMs);
    this.toldAtMs = nowMs;
    this.options.onProgress(this.progress());
  }
}
