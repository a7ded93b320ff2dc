import { z } from 'zod';
import type { Others } from '../membership/other-proxies.ts';
import { countsByNode } from '../membership/store/records.ts';
import type { CountsByNode } from '../membership/store/store.ts';
import type { Topics } from '../membership/store/topics.ts';
import { MAX_CONNECTIONS_MAX } from '../nodes/node.ts';
import type { MoverProgress } from './mover.ts';
import type { PlannedMove } from './rebalance.ts';

/** More nodes than a routing table holds, and as many planned moves as they could need. */
export const NODES_MAX = 4096;
const PROXIES_MAX = 1024;

export const nodeId = z.string().regex(/^[A-Za-z0-9._:@-]{1,64}$/);
export const count = z.int().min(0).max(MAX_CONNECTIONS_MAX);
export const rate = z.number().min(0).max(1_000_000);
const progressShape = z.object({
  state: z.enum(['moving', 'blocked', 'done']),
  moved: z.int().min(0),
  failed: z.int().min(0),
  left: count,
  stays: count,
  rate,
  pace: rate,
}) satisfies z.ZodType<MoverProgress>;
const loadShape = z.object({ proxy: z.string().max(256), live: countsByNode });
export const plannedMove = z.object({ from: nodeId, to: nodeId, count });
const movesShape = z
  .array(z.tuple([z.string().max(256), z.array(plannedMove).max(NODES_MAX).readonly()]).readonly())
  .max(PROXIES_MAX)
  .readonly();
const done = z.literal(true);

/** What each proxy is to move, by its id. No object: an id may be a word such as `constructor`. */
export type MovesByProxy = readonly (readonly [proxy: string, moves: readonly PlannedMove[]])[];

/** One proxy's connections by node id. */
export interface Load {
  readonly proxy: string;
  readonly live: CountsByNode;
}

/** What this proxy moves by itself, and is asked to move. */
export interface LocalMoves {
  setDrainRate(node: string, rate: number): void;
  drainProgress(node: string): MoverProgress;
  load(): Load;
  carryOut(moves: MovesByProxy, rate: number): void;
  carried(): MoverProgress;
}

export function withPeerMoves(local: LocalMoves, topics: Topics, others: Others) {
  const nothing = z.object({});
  const drainRate = topics.register(
    { name: 'drain-rate', question: z.object({ node: nodeId, rate }), answer: done },
    (asked) => {
      local.setDrainRate(asked.node, asked.rate);
      return true;
    },
  );
  const drainProgress = topics.register(
    { name: 'drain-progress', question: z.object({ node: nodeId }), answer: progressShape },
    (asked) => local.drainProgress(asked.node),
  );
  const load = topics.register({ name: 'load', question: nothing, answer: loadShape }, () => local.load());
  const carryOut = topics.register(
    { name: 'carry-out', question: z.object({ moves: movesShape, rate }), answer: done },
    (asked) => {
      local.carryOut(asked.moves, asked.rate);
      return true;
    },
  );
  const carried = topics.register({ name: 'carried', question: nothing, answer: progressShape }, () =>
    local.carried(),
  );

  /** A proxy that lives and does not answer may have something left. */
  function sum(
    own: MoverProgress,
    answers: Iterable<MoverProgress>,
    missing: readonly string[],
  ): MoverProgress {
    const total = sumProgress([own, ...answers]);
    return total.state === 'done' && missing.length > 0 ? { ...total, state: 'moving' } : total;
  }

  return {
    /** `rate` is of all proxies together; each takes its part. */
    async setDrainRate(node: string, perSecond: number): Promise<void> {
      local.setDrainRate(node, perSecond);
      await others.askAvailable(drainRate, { node, rate: perSecond });
    },
    async drainProgress(node: string): Promise<MoverProgress> {
      const { given, missing } = await others.askAvailable(drainProgress, { node });
      return sum(local.drainProgress(node), given.values(), missing);
    },
    async loads(): Promise<readonly Load[]> {
      const { given } = await others.askAvailable(load, {});
      // By its own word a proxy could take another's place.
      return [local.load(), ...[...given].map(([proxy, { live }]) => ({ proxy, live }))];
    },
    /** `rate` is each proxy's. */
    async carryOut(moves: MovesByProxy, perSecond: number): Promise<void> {
      local.carryOut(moves, perSecond);
      await others.askAvailable(carryOut, { moves, rate: perSecond });
    },
    async carried(): Promise<MoverProgress> {
      const { given, missing } = await others.askAvailable(carried, {});
      return sum(local.carried(), given.values(), missing);
    },
  };
}

export type PeerMoves = ReturnType<typeof withPeerMoves>;

function sumProgress(all: readonly MoverProgress[]): MoverProgress {
  const add = (pick: (progress: MoverProgress) => number): number =>
    all.reduce((total, progress) => total + pick(progress), 0);
  const has = (state: MoverProgress['state']): boolean => all.some((progress) => progress.state === state);
  return {
    state: has('moving') ? 'moving' : has('blocked') ? 'blocked' : 'done',
    moved: add(({ moved }) => moved),
    failed: add(({ failed }) => failed),
    left: add(({ left }) => left),
    stays: add(({ stays }) => stays),
    rate: add(({ rate }) => rate),
    pace: add(({ pace }) => pace),
  };
}
