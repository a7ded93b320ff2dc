/** Carries out what a rebalance has planned, session by session. */

import type { MoveCounts, MoveTimes } from './move-meter.ts';
import { Mover, type MoverOptions, type MoverProgress } from './mover.ts';
import type { PlannedMove } from './rebalance.ts';

interface PlanExecutorOptions extends Pick<MoverOptions, 'clock' | 'timers' | 'move' | 'isHeld'> {}

/** What is left of a plan, as another process goes on with it. */
export interface HandedPlan extends MoveCounts {
  readonly moves: PlannedMove[];
  /** Sessions a second. */
  readonly rate: number;
}

/** Carries planned moves out with this proxy's own sessions; one plan at a time, a new one replaces it. */
export class PlanExecutor {
  private readonly options: PlanExecutorOptions;
  private queue: { readonly from: string; readonly to: string; count: number }[] = [];
  private mover: Mover | undefined;

  constructor(options: PlanExecutorOptions) {
    this.options = options;
  }

  /** `rate` is in sessions a second. */
  start(moves: readonly PlannedMove[], rate: number): void {
    this.begin(moves, rate, undefined);
  }

  /** Undefined before the first plan. */
  progress(): MoverProgress | undefined {
    return this.mover?.progress();
  }

  reattached(cause: string, ok: boolean, times: MoveTimes): void {
    if (cause === 'rebalance') this.mover?.ended(ok, true, times);
  }

  /** Undefined before the first plan. */
  describe(): HandedPlan | undefined {
    if (this.mover === undefined) return undefined;
    const { moved, failed, rate } = this.mover.progress();
    const moves = this.queue.filter(({ count }) => count > 0).map((move) => ({ ...move }));
    return { moves, rate, moved, failed };
  }

  restore(plan: HandedPlan | undefined): void {
    if (plan !== undefined) this.begin(plan.moves, plan.rate, plan);
  }

  stop(): void {
    this.mover?.stop();
  }

  private begin(moves: readonly PlannedMove[], rate: number, earlier: MoveCounts | undefined): void {
    this.mover?.stop();
    const queue = moves.map((move) => ({ ...move }));
    this.queue = queue;
    this.mover = new Mover({
      ...this.options,
      next: () => queue[0],
      // Where nothing could begin, the rest of this order is for the next plan.
      begun(_order, count) {
        const [first] = queue;
        if (first === undefined) return;
        first.count -= count;
        if (count === 0 || first.count <= 0) queue.shift();
      },
      left: () => queue.reduce((sum, { count }) => sum + Math.max(0, count), 0),
      ...{ rate, earlier },
      onProgress: () => {},
      once: true,
    });
  }
}
