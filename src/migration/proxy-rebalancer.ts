import type { ProxyRebalanceRequest, ProxyRebalanceView } from '../admin/backend.ts';
import { BreakwaterError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Clock, Timers } from '../base/time.ts';
import type { DepartureProgress } from './departure.ts';
import { LatestRun, type Run } from './latest-run.ts';
import type { PeerDepartures } from './peer-departures.ts';
import { DEFAULT_DEPARTURE_RATE } from './proxy-departures.ts';
import { type FilledProxy, proxySpread, type Surplus, surplusOf } from './proxy-rebalance.ts';
import { DEFAULT_TOLERANCE } from './rebalance.ts';

/** A part of those that leave comes back to where it was, so at most so many rounds are made until all is even. */
const MAX_ROUNDS = 4;
const LOOK_MS = 500;
/** Devices that left are back at some proxy within this time, and the heartbeats have told of them. */
const SETTLE_MS = 4_000;
/** The longest wait for the part of one proxy. */
const ROUND_TIMEOUT_MS = 3_600_000;

interface ProxyRebalancerParts {
  /** Those that take devices, with what they have, by their last heartbeats. */
  readonly proxies: () => readonly FilledProxy[];
  readonly peers: Pick<PeerDepartures, 'share' | 'progress'>;
  /** Nothing is ordered now: connections go over to another process. */
  readonly isHeld: () => boolean;
  readonly log: Log;
  readonly onProgress: (view: ProxyRebalanceView) => void;
  readonly clock: Clock;
  readonly timers: Pick<Timers, 'setTimeout'>;
}

/** A rebalance as another process goes on with it, or tells of it when it is over. */
export interface HandedProxyRebalance {
  readonly rate: number;
  readonly tolerance: number;
  readonly state: Run['state'];
  readonly moved: number;
  readonly left: number;
}

interface Rebalance extends Run {
  readonly rate: number;
  readonly tolerance: number;
  /** Before the first round. */
  readonly waitMs: number;
  moved: number;
  left: number;
  pace: number;
}

/** Evens devices out over the proxies of a cluster: each lets those go that it has above the mean. */
export class ProxyRebalancer {
  private readonly parts: ProxyRebalancerParts;
  private readonly runs: LatestRun<Rebalance>;

  constructor(parts: ProxyRebalancerParts) {
    this.parts = parts;
    this.runs = new LatestRun((run) => this.go(run), parts.log);
  }

  /** Begins; one under way is replaced. @throws BreakwaterError REBALANCE_REFUSED */
  start({ rate, tolerance }: ProxyRebalanceRequest): ProxyRebalanceView {
    if (this.parts.proxies().length < 2)
      throw new BreakwaterError(
        'REBALANCE_REFUSED',
        'there is no other proxy of this cluster that takes devices; `proxy list` shows them',
      );
    const begun: Rebalance = {
      ...{ rate: rate ?? DEFAULT_DEPARTURE_RATE, tolerance: tolerance ?? DEFAULT_TOLERANCE },
      ...{ state: 'moving', moved: 0, left: 0, pace: 0, stopped: false },
      waitMs: 0,
    };
    this.runs.begin(begun);
    return this.viewOf(begun);
  }

  /** Of the last one that began at this proxy. */
  progress(): ProxyRebalanceView | undefined {
    return this.runs.latest && this.viewOf(this.runs.latest);
  }

  describe(): HandedProxyRebalance | undefined {
    return this.runs.latest && handedOf(this.runs.latest);
  }

  /** It goes on with a round of its own, when heartbeats have told what there is. */
  restore(handed: HandedProxyRebalance | undefined): void {
    if (handed !== undefined) this.runs.begin({ ...handed, waitMs: SETTLE_MS, pace: 0, stopped: false });
  }

  stop(): void {
    this.runs.stop();
  }

  private async go(of: Rebalance): Promise<void> {
    const { proxies, isHeld, log, onProgress } = this.parts;
    await this.wait(of.waitMs);
    for (let rounds = 0; of.state === 'moving'; rounds++) {
      while (isHeld() && !of.stopped) await this.wait(LOOK_MS);
      if (of.stopped) return;
      const spread = proxySpread(proxies());
      const surplus = surplusOf(proxies(), of.tolerance);
      if (surplus.length === 0) of.state = 'done';
      else if (rounds >= MAX_ROUNDS) of.state = 'blocked';
      else {
        const isWhole = await this.round(of, surplus);
        if (of.stopped) return;
        await this.wait(SETTLE_MS);
        if (of.stopped) return;
        if (!isWhole || proxySpread(proxies()) >= spread) of.state = 'blocked';
      }
    }
    of.left = surplusOf(proxies(), of.tolerance).reduce((sum, { count }) => sum + count, 0);
    of.pace = 0;
    const view = this.viewOf(of);
    const { moved, left, spread } = view;
    log.info({ proxies: view.proxies, moved, left, spread }, 'proxies rebalanced');
    onProgress(view);
  }

  /** Has each let its surplus go; resolves when all have, or cannot. False: at one they come back. */
  private async round(of: Rebalance, surplus: readonly Surplus[]): Promise<boolean> {
    const { peers, clock, onProgress } = this.parts;
    const before = of.moved;
    of.left = surplus.reduce((sum, { count }) => sum + count, 0);
    const ordered: Surplus[] = [];
    for (const each of surplus) {
      const share = { count: each.count, rate: of.rate / surplus.length };
      if (await peers.share(each.id, share).catch(() => false)) ordered.push(each);
    }
    const endsAtMs = clock.now() + ROUND_TIMEOUT_MS;
    for (;;) {
      await this.wait(LOOK_MS);
      const looks = await Promise.all(ordered.map(({ id }) => this.look(id)));
      if (of.stopped) return false;
      const known = looks.filter((each) => each !== undefined);
      of.moved = before + known.reduce((sum, { moved }) => sum + moved, 0);
      of.left = known.reduce((sum, { left }) => sum + left, 0);
      of.pace = known.reduce((sum, { pace }) => sum + pace, 0);
      const isUnderWay = known.some(({ state }) => state === 'moving' || state === 'waiting');
      if (!isUnderWay || clock.now() > endsAtMs) return known.every(({ state }) => state === 'done');
      onProgress(this.viewOf(of));
    }
  }

  private async look(id: string): Promise<DepartureProgress | undefined> {
    return (await this.parts.peers.progress(id, { kind: 'rebalance' }).catch(() => undefined)) ?? undefined;
  }

  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.parts.timers.setTimeout(resolve, ms));
  }

  private viewOf({ state, moved, left, rate, pace, tolerance }: Rebalance): ProxyRebalanceView {
    const all = this.parts.proxies();
    const timeLeft = pace > 0 ? left / pace : undefined;
    return {
      ...{ state, moved, failed: 0, left, rate, pace, timeLeft, tolerance },
      proxies: all.map(({ id }) => id).sort(),
      spread: proxySpread(all),
    };
  }
}

function handedOf({ rate, tolerance, state, moved, left }: Rebalance): HandedProxyRebalance {
  return { rate, tolerance, state, moved, left };
}
