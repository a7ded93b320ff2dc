import type { RebalanceRequest, RebalanceView } from '../admin/backend.ts';
import { BreakwaterError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { didYouMean } from '../base/similar.ts';
import type { Clock, Timers } from '../base/time.ts';
import type { PoolConfig } from '../config/config.ts';
import type { NodeTable } from '../nodes/table.ts';
import { DEFAULT_DRAIN_RATE } from './drains.ts';
import { LatestRun, type Run } from './latest-run.ts';
import type { MoveCounts } from './move-meter.ts';
import type { PeerMoves } from './peer-moves.ts';
import { DEFAULT_TOLERANCE, type Loaded, planRebalance, shareOut, spreadOf } from './rebalance.ts';

/** Devices come and go meanwhile, so at most so many plans are made until all is even. */
const MAX_ROUNDS = 10;
const LOOK_MS = 200;
/** The longest wait for the part of one proxy. */
const ROUND_TIMEOUT_MS = 600_000;

interface RebalancerParts {
  readonly pools: () => readonly PoolConfig[];
  readonly nodes: NodeTable;
  readonly connectionsAt: (id: string) => number;
  readonly peerMoves: Pick<PeerMoves, 'loads' | 'carryOut' | 'carried'>;
  /** Nothing is planned now: connections go over to another process. */
  readonly isHeld: () => boolean;
  readonly log: Log;
  readonly onProgress: (view: RebalanceView) => void;
  readonly clock: Clock;
  readonly timers: Pick<Timers, 'setTimeout'>;
}

/** A rebalance as another process goes on with it, or tells of it when it is over. */
export interface HandedRebalance extends MoveCounts {
  readonly pools: string[];
  readonly rate: number;
  readonly tolerance: number;
  readonly state: Run['state'];
  readonly left: number;
}

interface Rebalance extends Run {
  readonly pools: readonly PoolConfig[];
  readonly rate: number;
  readonly tolerance: number;
  moved: number;
  failed: number;
  left: number;
  pace: number;
}

/** Evens pools out over all proxies: plans by what each proxy has, has each carry its part out, and looks again. */
export class Rebalancer {
  private readonly parts: RebalancerParts;
  private readonly runs: LatestRun<Rebalance>;

  constructor(parts: RebalancerParts) {
    this.parts = parts;
    this.runs = new LatestRun((run) => this.go(run), parts.log);
  }

  /** Begins; a rebalance under way is stopped first. @throws BreakwaterError POOL_UNKNOWN, REBALANCE_REFUSED */
  start({ pool, rate, tolerance }: RebalanceRequest): RebalanceView {
    const chosen = choosePools(this.parts.pools(), pool);
    const begun: Rebalance = {
      pools: chosen,
      rate: rate ?? DEFAULT_DRAIN_RATE,
      tolerance: tolerance ?? DEFAULT_TOLERANCE,
      ...{ state: 'moving', moved: 0, failed: 0, left: 0, pace: 0, stopped: false },
    };
    this.runs.begin(begun);
    return this.viewOf(begun);
  }

  /** Of the last one that began at this proxy. */
  progress(): RebalanceView | undefined {
    return this.runs.latest && this.viewOf(this.runs.latest);
  }

  describe(): HandedRebalance | undefined {
    return this.runs.latest && handedOf(this.runs.latest);
  }

  /** It is planned anew from what there is then. Pools that are gone have no part in it. */
  restore(handed: HandedRebalance | undefined): void {
    const chosen = this.parts.pools().filter(({ name }) => handed?.pools.includes(name));
    if (handed !== undefined && chosen.length > 0)
      this.runs.begin({ ...handed, pools: chosen, pace: 0, stopped: false });
  }

  stop(): void {
    this.runs.stop();
  }

  private async go(of: Rebalance): Promise<void> {
    const { isHeld, log, onProgress } = this.parts;
    for (let rounds = 0; rounds < MAX_ROUNDS && of.state === 'moving'; rounds++) {
      while (isHeld() && !of.stopped) await this.pause();
      if (of.stopped) return;
      const before = of.moved;
      const hadPlan = await this.round(of);
      if (of.stopped) return;
      if (!hadPlan) of.state = 'done';
      else if (of.moved === before) of.state = 'blocked';
    }
    if (of.state === 'moving') of.state = 'blocked';
    const view = this.viewOf(of);
    const { pools, moved, failed, spread } = view;
    log.info({ pools, moved, failed, spread }, 'rebalanced');
    onProgress(view);
  }

  /** One plan and its execution; false when there was nothing to plan. */
  private async round(of: Rebalance): Promise<boolean> {
    const { peerMoves, onProgress, clock } = this.parts;
    const loads = await peerMoves.loads();
    const counts = loads.map(({ live }) => new Map(live));
    const countOf = (id: string): number => counts.reduce((sum, count) => sum + (count.get(id) ?? 0), 0);
    const plan = of.pools.flatMap((pool) => planRebalance(this.loaded(pool, countOf), of.tolerance));
    if (plan.length === 0 || of.stopped) return false;
    const shares = shareOut(plan, counts);
    const byProxy = loads.map(({ proxy }, i) => [proxy, shares[i] ?? []] as const);
    of.left = plan.reduce((sum, { count }) => sum + count, 0);
    const { moved, failed } = of;
    await peerMoves.carryOut(
      byProxy,
      of.rate / Math.max(1, shares.filter((share) => share.length > 0).length),
    );
    const endsAtMs = clock.now() + ROUND_TIMEOUT_MS;
    for (;;) {
      const progress = await peerMoves.carried();
      if (of.stopped) return false;
      of.moved = moved + progress.moved;
      of.failed = failed + progress.failed;
      of.left = progress.left;
      of.pace = progress.pace;
      if (progress.state !== 'moving' || clock.now() > endsAtMs) return true;
      onProgress(this.viewOf(of));
      await this.pause();
    }
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => void this.parts.timers.setTimeout(resolve, LOOK_MS));
  }

  private viewOf(of: Rebalance): RebalanceView {
    const { state, moved, failed, left, rate, pace, tolerance } = of;
    const { connectionsAt } = this.parts;
    const spread = Math.max(0, ...of.pools.map((pool) => spreadOf(this.loaded(pool, connectionsAt))));
    const names = of.pools.map(({ name }) => name);
    const timeLeft = pace > 0 ? left / pace : undefined;
    return { state, moved, failed, left, rate, pace, timeLeft, pools: names, tolerance, spread };
  }

  /** The pool's nodes that take devices, with what all proxies have there. */
  private loaded(pool: PoolConfig, countOf: (id: string) => number): Loaded[] {
    return this.parts.nodes
      .byPool(pool.name)
      .filter(({ state, health }) => state === 'enabled' && health !== 'unhealthy')
      .map(({ id, weight }) => ({ id, weight, count: countOf(id) }));
  }
}

function handedOf({ pools, rate, tolerance, state, moved, failed, left }: Rebalance): HandedRebalance {
  return { pools: pools.map(({ name }) => name), rate, tolerance, state, moved, failed, left };
}

function choosePools(pools: readonly PoolConfig[], wanted: string | undefined): readonly PoolConfig[] {
  const asked = pools.filter(({ name }) => wanted === undefined || name === wanted);
  if (asked.length === 0) {
    const names = pools.map(({ name }) => name);
    const hint = didYouMean(wanted ?? '', names);
    throw new BreakwaterError('POOL_UNKNOWN', `no pool "${wanted}"${hint}; pools are ${names.join(', ')}`);
  }
  const free = asked.filter(({ strategy }) => !strategy.endsWith('-hash'));
  if (free.length > 0) return free;
  const [{ name, strategy } = { name: '', strategy: '' }] = asked;
  throw new BreakwaterError(
    'REBALANCE_REFUSED',
    `pool ${name} has the strategy ${strategy}: its devices' nodes follow from their ids or addresses, and they would go back when they reconnect; change weights instead`,
  );
}
