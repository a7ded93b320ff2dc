import { z } from 'zod';
import { MAX_CONNECTIONS_MAX } from '../nodes/node.ts';
import type { HandedDrain } from './drains.ts';
import { count, NODES_MAX, nodeId, plannedMove, rate } from './peer-moves.ts';
import type { HandedPlan } from './plan-executor.ts';
import type { HandedDepartures } from './proxy-departures.ts';
import type { HandedProxyRebalance } from './proxy-rebalancer.ts';
import type { HandedRebalance } from './rebalancer.ts';

/** Drains and rebalances that are under way, as the process after this one goes on with them. */

const moveCounts = { moved: z.int().min(0), failed: z.int().min(0) };
const runState = z.enum(['moving', 'blocked', 'done']);
const tolerance = z.number().min(0);

export const movesUnderWay = z.object({
  drains: z
    .array(
      z.object({
        node: nodeId,
        /** As somebody asked for it, sessions a second over all proxies. */
        rate: rate.optional(),
        ...moveCounts,
      }) satisfies z.ZodType<HandedDrain>,
    )
    .max(NODES_MAX),
  /** This proxy's part of a rebalance, whichever proxy has planned it. */
  plan: z
    .object({ moves: z.array(plannedMove).max(NODES_MAX), rate, ...moveCounts })
    .optional() satisfies z.ZodType<HandedPlan | undefined>,
  rebalance: z
    .object({
      pools: z.array(z.string().max(64)).max(1_024),
      rate,
      tolerance,
      state: runState,
      ...moveCounts,
      left: count,
    })
    .optional() satisfies z.ZodType<HandedRebalance | undefined>,
  proxyRebalance: z
    .object({ rate, tolerance, state: runState, moved: moveCounts.moved, left: count })
    .optional() satisfies z.ZodType<HandedProxyRebalance | undefined>,
  departures: z.object({
    isDraining: z.boolean(),
    present: z
      .object({
        kind: z.enum(['drain', 'rebalance']),
        rate,
        /** Until the first one leaves; negative: so long ago. */
        delayMs: z.number(),
        most: count.optional(),
        state: z.enum(['waiting', ...runState.options]),
        moved: moveCounts.moved,
        /** Devices that were connected when it began. */
        before: z.int().min(0).max(MAX_CONNECTIONS_MAX),
      })
      .optional(),
  }) satisfies z.ZodType<HandedDepartures>,
});
type MovesUnderWay = z.output<typeof movesUnderWay>;

/** Each describes itself, and goes on with what was described. */
interface Part<Value> {
  describe(): Value;
  restore(value: Value): void;
}

type Parts = { readonly [Name in keyof MovesUnderWay]-?: Part<MovesUnderWay[Name]> };

interface Stopped {
  stop(): void;
}

/**
 * @param hold while an upgrade hands connections over nothing is moved: what is counted is neither here nor there
 */
export function createMovesUnderWay(
  {
    drains,
    plan,
    rebalance,
    proxyRebalance,
    departures,
  }: Parts & Record<'plan' | 'rebalance' | 'proxyRebalance', Stopped>,
  hold: { isOn: boolean },
) {
  return {
    hold(on: boolean): void {
      hold.isOn = on;
    },
    describe: (): MovesUnderWay => ({
      drains: drains.describe(),
      plan: plan.describe(),
      rebalance: rebalance.describe(),
      proxyRebalance: proxyRebalance.describe(),
      departures: departures.describe(),
    }),
    restore(moves: MovesUnderWay): void {
      drains.restore(moves.drains);
      plan.restore(moves.plan);
      rebalance.restore(moves.rebalance);
      proxyRebalance.restore(moves.proxyRebalance);
      departures.restore(moves.departures);
    },
    /** Another process goes on with it. What stays with this one leaves drained nodes all the same. */
    leave(): void {
      for (const each of [plan, rebalance, proxyRebalance]) each.stop();
      hold.isOn = false;
    },
  };
}
