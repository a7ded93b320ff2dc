import type { Clock } from '../base/time.ts';
import type { MoveTally } from '../data-plane-api/messages.ts';
import { MoveMeter } from './move-meter.ts';

/** How often sessions are ordered away while all goes well. */
const BATCH_MS = 100;
/** After so many tries in a row that moved nothing, what is left is told as not movable; it is still tried. */
const BLOCKED_AFTER = 3;
const RETRY_MS = 500;
const RETRY_MAX_MS = 5_000;
const TELL_MS = 1_000;
/** When nothing is left, the last moves under way have so long to be told of: a device may leave in the middle. */
const SETTLE_MS = 3_000;

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
  /** Told what was begun of an order, so that `next` can go on. */
  readonly begun?: (order: Order, count: number) => void;
  /** Connections that are still where they should not be. */
  readonly left: () => number;
  readonly move: (order: Order) => Promise<MoveTally>;
  /** Sessions a second. */
  readonly rate: number;
  /** Told about once a second while sessions move, and at each change of state. */
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
 * second; what cannot go now is tried again, less and less often.
 */
export function startMover(options: MoverOptions) {
  const { clock, timers, next, left } = options;
  const meter = new MoveMeter(options.rate, clock.now());
  let timer: unknown;
  let stopped = false;
  let state: MoverState = left() === 0 ? 'done' : 'moving';
  let stays = 0;
  let pace = 0;
  let fruitless = 0;
  let emptyAtMs: number | undefined;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let before = { moved: 0, failed: 0 };

  const progress = (): MoverProgress => ({
    state,
    moved: meter.moved,
    failed: meter.failed,
    left: left(),
    stays: Math.min(stays, left()),
    rate: meter.sessionsPerSecond,
    pace,
  });

  function tell(was: MoverState): void {
    const nowMs = clock.now();
    const isDue = state === 'moving' && nowMs - toldAtMs >= TELL_MS;
    if (!isDue && state === was) return;
    pace = meter.pace(nowMs);
    toldAtMs = nowMs;
    options.onProgress(progress());
  }

  /** Are the tries of late in vain? */
  function judge(tally: MoveTally | undefined): void {
    const { moved, failed } = meter;
    const gained = moved > before.moved || (tally?.ended ?? 0) > 0;
    const lost = failed > before.failed;
    before = { moved, failed };
    if (gained) fruitless = 0;
    else if (lost || (tally !== undefined && isVain(tally) && meter.underWay === 0)) fruitless++;
  }

  async function order(): Promise<MoveTally | undefined> {
    const nowMs = clock.now();
    const room = fruitless > 0 ? Math.min(1, meter.room(nowMs)) : meter.room(nowMs);
    const wanted = next();
    if (room < 1 || wanted === undefined) return undefined;
    const count = Math.min(room, wanted.count);
    const tally = await options.move({ ...wanted, count }).catch(() => undefined);
    if (tally === undefined) return undefined; // a data thread died: its connections are gone, the others' are not
    meter.began(tally.moving + tally.noNode, nowMs);
    meter.failed += tally.ended;
    options.begun?.(wanted, tally.moving + tally.noNode + tally.ended);
    stays = tally.stuck;
    return tally;
  }

  async function tick(): Promise<void> {
    const was = state;
    const tally = left() > 0 ? await order() : undefined;
    if (stopped) return;
    judge(tally);
    if (isOver()) state = 'done';
    else state = fruitless >= BLOCKED_AFTER ? 'blocked' : 'moving';
    if (state === 'done') fruitless = 0;
    tell(was);
    if (stopped) return;
    if (options.once && state !== 'moving') stopped = true;
    else schedule(waitAfter(tally));
  }

  function isOver(): boolean {
    if (left() > 0) emptyAtMs = undefined;
    else emptyAtMs ??= clock.now();
    if (emptyAtMs === undefined) return false;
    return meter.underWay === 0 || clock.now() - emptyAtMs >= SETTLE_MS;
  }

  function waitAfter(tally: MoveTally | undefined): number {
    if (state === 'done') return RETRY_MS;
    if (fruitless > 0) return Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** (fruitless - 1));
    return tally !== undefined && tally.moving === 0 && tally.later > 0 ? RETRY_MS : BATCH_MS;
  }

  function schedule(ms: number): void {
    timer = timers.setTimeout(() => void tick(), ms);
  }

  schedule(0);
  return {
    progress,
    /** A move that was ordered has ended, or one for another cause has taken a session from there. */
    ended(ok: boolean, wasOrdered: boolean): void {
      if (wasOrdered) meter.ended(ok);
      else if (ok) meter.moved++;
      else meter.failed++;
    },
    setRate(rate: number): void {
      meter.sessionsPerSecond = rate;
    },
    stop(): void {
      stopped = true;
      timers.clearTimeout(timer);
    },
  };
}

export type Mover = ReturnType<typeof startMover>;

function isVain({ moving, later, stuck, noNode, ended }: MoveTally): boolean {
  return moving === 0 && later === 0 && ended === 0 && stuck + noNode > 0;
}
