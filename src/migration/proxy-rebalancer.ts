import type { ProxyRebalanceRequest, ProxyRebalanceView } from '../admin/backend.ts';
import { BreakwaterError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Clock, Timers } from '../base/time.ts';
import type { DepartureProgress } from './departure.ts';
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
  readonly log: Log;
  readonly onProgress: (view: ProxyRebalanceView) => void;
  readonly clock: Clock;
  readonly timers: Pick<Timers, 'setTimeout'>;
}

interface Run {
  readonly rate: number;
  readonly tolerance: number;
  state: 'moving' | 'blocked' | 'done';
  moved: number;
  left: number;
  pace: number;
  stopped: boolean;
}

/** Evens devices out over the proxies of a cluster: each lets those go that it has above the mean. */
export function createProxyRebalancer(parts: ProxyRebalancerParts) {
  const { proxies, peers, log, onProgress, clock, timers } = parts;
  let run: Run | undefined;
  const wait = (ms: number) => new Promise<void>((resolve) => void timers.setTimeout(resolve, ms));

  function viewOf({ state, moved, left, rate, pace, tolerance }: Run): ProxyRebalanceView {
    const all = proxies();
    const timeLeft = pace > 0 ? left / pace : undefined;
    return {
      ...{ state, moved, failed: 0, left, rate, pace, timeLeft, tolerance },
      proxies: all.map(({ id }) => id).sort(),
      spread: proxySpread(all),
    };
  }

  /** Has each let its surplus go; resolves when all have, or cannot. False: at one they come back. */
  async function round(of: Run, surplus: readonly Surplus[]): Promise<boolean> {
    const before = of.moved;
    of.left = surplus.reduce((sum, { count }) => sum + count, 0);
    const ordered: Surplus[] = [];
    for (const each of surplus) {
      const share = { count: each.count, rate: of.rate / surplus.length };
      if (await peers.share(each.id, share).catch(() => false)) ordered.push(each);
    }
    const endsAtMs = clock.now() + ROUND_TIMEOUT_MS;
    for (;;) {
      await wait(LOOK_MS);
      const looks = await Promise.all(ordered.map(({ id }) => look(id)));
      if (of.stopped) return false;
      const known = looks.filter((each) => each !== undefined);
      of.moved = before + known.reduce((sum, { moved }) => sum + moved, 0);
      of.left = known.reduce((sum, { left }) => sum + left, 0);
      of.pace = known.reduce((sum, { pace }) => sum + pace, 0);
      const isUnderWay = known.some(({ state }) => state === 'moving' || state === 'waiting');
      if (!isUnderWay || clock.now() > endsAtMs) return known.every(({ state }) => state === 'done');
      onProgress(viewOf(of));
    }
  }

  async function look(id: string): Promise<DepartureProgress | undefined> {
    return (await peers.progress(id, { kind: 'rebalance' }).catch(() => undefined)) ?? undefined;
  }

  async function go(of: Run): Promise<void> {
    for (let rounds = 0; of.state === 'moving'; rounds++) {
      const spread = proxySpread(proxies());
      const surplus = surplusOf(proxies(), of.tolerance);
      if (surplus.length === 0) of.state = 'done';
      else if (rounds >= MAX_ROUNDS) of.state = 'blocked';
      else {
        const isWhole = await round(of, surplus);
        if (of.stopped) return;
        await wait(SETTLE_MS);
        if (of.stopped) return;
        if (!isWhole || proxySpread(proxies()) >= spread) of.state = 'blocked';
      }
    }
    of.left = surplusOf(proxies(), of.tolerance).reduce((sum, { count }) => sum + count, 0);
    of.pace = 0;
    const view = viewOf(of);
    const { moved, left, spread } = view;
    log.info({ proxies: view.proxies, moved, left, spread }, 'proxies rebalanced');
    onProgress(view);
  }

  return {
    /** Begins; one under way is replaced. @throws BreakwaterError REBALANCE_REFUSED */
    start({ rate, tolerance }: ProxyRebalanceRequest): ProxyRebalanceView {
      if (proxies().length < 2)
        throw new BreakwaterError(
          'REBALANCE_REFUSED',
          'there is no other proxy of this cluster that takes devices; `proxy list` shows them',
        );
      if (run !== undefined) run.stopped = true;
      const begun: Run = {
        ...{ rate: rate ?? DEFAULT_DEPARTURE_RATE, tolerance: tolerance ?? DEFAULT_TOLERANCE },
        ...{ state: 'moving', moved: 0, left: 0, pace: 0, stopped: false },
      };
      run = begun;
      go(begun).catch((error: unknown) => {
        begun.state = 'blocked';
        log.error({ error: String(error) }, 'rebalance failed');
      });
      return viewOf(begun);
    },
    /** Of the last one that began at this proxy. */
    progress: (): ProxyRebalanceView | undefined => run && viewOf(run),
    stop(): void {
      if (run !== undefined) run.stopped = true;
    },
  };
}

export type ProxyRebalancer = ReturnType<typeof createProxyRebalancer>;
