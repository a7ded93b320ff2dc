/** Carries out what a rebalance has planned, session by session. */

import { Mover, type MoverOptions, type MoverProgress } from './mover.ts';
import type { PlannedMove } from './rebalance.ts';

interface CarryOutOptions extends Pick<MoverOptions, 'clock' | 'timers' | 'move'> {}

/** Carries planned moves out with this proxy's own sessions; one plan at a time, a new one replaces it. */
export function createPlanExecutor(options: CarryOutOptions) {
  let queue: { readonly from: string; readonly to: string; count: number }[] = [];
  let mover: Mover | undefined;

  return {
    /** `rate` is in sessions a second. */
    start(moves: readonly PlannedMove[], rate: number): void {
      mover?.stop();
      queue = moves.map((move) => ({ ...move }));
      mover = new Mover({
        ...options,
        next: () => queue[0],
        // Where nothing could begin, the rest of this order is for the next plan.
        begun(_order, count) {
          const [first] = queue;
          if (first === undefined) return;
          first.count -= count;
          if (count === 0 || first.count <= 0) queue.shift();
        },
        left: () => queue.reduce((sum, { count }) => sum + Math.max(0, count), 0),
        rate,
        onProgress: () => {},
        once: true,
      });
    },
    /** Undefined before the first plan. */
    progress: (): MoverProgress | undefined => mover?.progress(),
    reattached(cause: string, ok: boolean): void {
      if (cause === 'rebalance') mover?.ended(ok, true);
    },
    stop(): void {
      mover?.stop();
    },
  };
}

export type PlanExecutor = ReturnType<typeof createPlanExecutor>;
