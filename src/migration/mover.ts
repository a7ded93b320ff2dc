import type { Clock } from '../base/time.ts';
import type { MoveTally } from '../data-plane-api/messages.ts';
import { type MoveCounts, MoveMeter, type MoveTimes, NOTHING_MOVED } from './move-meter.ts';
import { MovePace } from './move-pace.ts';

/** How often sessions are ordered away while all goes well. */
const BATCH_MS = 100;
/** After so many tries in a row that moved nothing, the rest is reported as not movable. It is still tried. */
const BLOCKED_AFTER = 3;
const RETRY_MS = 500;
const RETRY_MAX_MS = 5_000;
const TELL_MS = 1_000;
/**
 * When nothing is left, reports of the last moves are waited for so long: a device may leave in the middle of one.
 */
const LAST_MOVES_MS = 3_000;
/** A move that is not over after so long is a sign that the nodes are too busy, and makes room for another one. */
const LATE_MS = 5_000;

/** Sessions to be moved: at most `count` from one node, to `to` and no other if that is given. */
interface Order {
  readonly from: string;
  readonly to?: string | undefined;
  readonly count: number;
}

/**
 * `moving`: not at the end yet. `blocked`: nothing that is left can be moved now, by relay mode or because no node
 * takes it; a drain goes on trying. `done`: nothing is left.
 */
type MoverState = 'moving' | 'blocked' | 'done';

export interface MoverProgress {
  readonly state: MoverState;
  readonly moved: number;
  /** Tries that failed, and devices that were disconnected because they cannot be moved. */
  readonly failed: number;
  /** Still to go, those included that stay until they leave. */
  readonly left: number;
  /** Of those left: cannot be moved by us, because they are relayed or hold too much. */
  readonly stays: number;
  /** Sessions a second that may be moved, and that were of late. */
  readonly rate: number;
  readonly pace: number;
}

export interface MoverOptions {
  /** What to order next; undefined while there is nothing. */
  readonly next: () => Order | undefined;
  /** Called with what was begun of an order, so that `next` can go on. */
  readonly begun?: (order: Order, count: number) => void;
  /** Connections that are still where they should not be. */
  readonly left: () => number;
  readonly move: (order: Order) => Promise<MoveTally>;
  /** Sessions a second, at most. */
  readonly rate: number;
  /** What an older process has moved of it. */
  readonly earlier?: MoveCounts | undefined;
  /** Nothing is ordered, judged or told now: connections go over to another process. */
  readonly isHeld: () => boolean;
  /** Called about once a second while sessions move, and at each change of state. */
  readonly onProgress: (progress: MoverProgress) => void;
  /** Ends by itself when it is done or blocked; otherwise it watches until it is stopped. */
  readonly once: boolean;
  readonly clock: Clock;
  readonly timers: {
    setTimeout(run: () => void, ms: number): unknown;
    clearTimeout(timer: unknown): void;
  };
}

/**
 * Moves sessions at a bounded rate: every `BATCH_MS` a few are ordered away, never more under way than the rate of one
 * second, and fewer where they fail or nodes answer slowly (`MovePace`); what cannot go is tried again, less and less often. It runs from its making until `stop`, or with `once`
 * until it is done or blocked.
 */
export class Mover {
  private readonly options: MoverOptions;
  private readonly meter: MoveMeter;
  private readonly pace: MovePace;
  private timer: unknown;
  private stopped = false;
  private state: MoverState;
  private stays = 0;
  /** Sessions a second, of late. */
  private speed = 0;
  /** Moves that were late at the last look. */
  private late = 0;
  /** Tries in a row that moved nothing. */
  private fruitless = 0;
  private emptyAtMs: number | undefined;
  private toldAtMs = Number.NEGATIVE_INFINITY;
  private before: MoveCounts;

  constructor(options: MoverOptions) {
    this.options = options;
    const { earlier = NOTHING_MOVED } = options;
    this.meter = new MoveMeter(options.rate, options.clock.now(), earlier);
    this.pace = new MovePace(options.rate);
    this.before = earlier;
    this.state = options.left() === 0 ? 'done' : 'moving';
    this.schedule(0);
  }

  progress(): MoverProgress {
    const left = this.options.left();
    return {
      state: this.state,
      moved: this.meter.moved,
      failed: this.meter.failed,
      left,
      stays: Math.min(this.stays, left),
      rate: this.meter.sessionsPerSecond,
      pace: this.speed,
    };
  }

  /** A move that was ordered has ended, or one for another cause has taken a session from there. */
  ended(ok: boolean, wasOrdered: boolean, { durationMs, connackMs }: MoveTimes): void {
    const { meter, pace, options } = this;
    const nowMs = options.clock.now();
    if (wasOrdered && ok) pace.answered(connackMs, nowMs);
    else if (wasOrdered) pace.failed(nowMs);
    if (wasOrdered) meter.ended(ok, nowMs - durationMs);
    else if (ok) meter.moved++;
    else meter.failed++;
  }

  /** @param rate sessions a second */
  setRate(rate: number): void {
    this.meter.sessionsPerSecond = rate;
    this.pace.rate = rate;
  }

  stop(): void {
    this.stopped = true;
    this.options.timers.clearTimeout(this.timer);
  }

  private schedule(ms: number): void {
    this.timer = this.options.timers.setTimeout(() => void this.tick(), ms);
  }

  private async tick(): Promise<void> {
    const { options } = this;
    if (options.isHeld()) return this.schedule(BATCH_MS);
    const was = this.state;
    const tally = options.left() > 0 ? await this.order() : undefined;
    if (this.stopped) return;
    this.judge(tally);
    if (this.isOver()) this.state = 'done';
    else this.state = this.fruitless >= BLOCKED_AFTER ? 'blocked' : 'moving';
    if (this.state === 'done') this.fruitless = 0;
    this.tell(was);
    if (this.stopped) return;
    if (options.once && this.state !== 'moving') this.stopped = true;
    else this.schedule(this.waitAfter(tally));
  }

  private async order(): Promise<MoveTally | undefined> {
    const { meter, options } = this;
    const nowMs = options.clock.now();
    const room = this.fruitless > 0 ? Math.min(1, this.room(nowMs)) : this.room(nowMs);
    const wanted = options.next();
    if (room < 1 || wanted === undefined) return undefined;
    const count = Math.min(room, wanted.count);
    const tally = await options.move({ ...wanted, count }).catch(() => undefined);
    if (tally === undefined) return undefined; // a worker died: its connections are gone, those of the others are not
    meter.began(tally.moving + tally.noNode, nowMs);
    meter.failed += tally.ended;
    options.begun?.(wanted, tally.moving + tally.noNode + tally.ended);
    this.stays = tally.stuck;
    return tally;
  }

  private room(nowMs: number): number {
    const { meter, pace } = this;
    const room = meter.room(nowMs);
    const late = meter.underWaySince(nowMs - LATE_MS);
    if (late > this.late) pace.failed(nowMs);
    this.late = late;
    return Math.min(room, pace.room - (meter.underWay - late));
  }

  /** Counts how many of the last tries moved nothing. */
  private judge(tally: MoveTally | undefined): void {
    const { moved, failed, underWay } = this.meter;
    const gained = moved > this.before.moved || (tally?.ended ?? 0) > 0;
    const lost = failed > this.before.failed;
    this.before = { moved, failed };
    if (gained) this.fruitless = 0;
    else if (lost || (tally !== undefined && isVain(tally) && underWay === 0)) this.fruitless++;
  }

  private isOver(): boolean {
    const { clock, left } = this.options;
    if (left() > 0) this.emptyAtMs = undefined;
    else this.emptyAtMs ??= clock.now();
    if (this.emptyAtMs === undefined) return false;
    return this.meter.underWay === 0 || clock.now() - this.emptyAtMs >= LAST_MOVES_MS;
  }

  private waitAfter(tally: MoveTally | undefined): number {
    if (this.state === 'done') return RETRY_MS;
    if (this.fruitless > 0) return Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** (this.fruitless - 1));
    return tally !== undefined && tally.moving === 0 && tally.later > 0 ? RETRY_MS : BATCH_MS;
  }

  private tell(was: MoverState): void {
    const nowMs = this.options.clock.now();
    const isDue = this.state === 'moving' && nowMs - this.toldAtMs >= TELL_MS;
    if (!isDue && this.state === was) return;
    this.speed = this.meter.pace(nowMs);
    this.toldAtMs = nowMs;
    this.options.onProgress(this.progress());
  }
}

/** Nothing of the order could be moved. */
function isVain({ moving, later, stuck, noNode, ended }: MoveTally): boolean {
  return moving === 0 && later === 0 && ended === 0 && stuck + noNode > 0;
}
