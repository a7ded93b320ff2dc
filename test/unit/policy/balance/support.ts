import { randomFrom } from '../../../../bench/random.ts';
import type {
  Candidate,
  Selection,
  SelectionKey,
  StrategyContext,
} from '../../../../src/policy/balance/strategy.ts';

/** Nodes emqx-0, emqx-1 … at slots 10, 11 …, of these weights. */
export function nodesOf(...weights: number[]): Candidate[] {
  return weights.map((weight, i) => ({ slot: 10 + i, id: `emqx-${i}`, weight }));
}

export const idle = (seed = 1): StrategyContext => ({ connections: () => 0, random: randomFrom(seed) });

export const deviceKey = (i: number): SelectionKey => ({
  clientId: `meter-${i}`,
  sourceAddress: `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`,
});

export const first = (selection: Selection, key = deviceKey(0)) => selection.candidates(key).next().value;

export function order(selection: Selection, key = deviceKey(0)): number[] {
  const iterator = selection.candidates(key);
  const slots: number[] = [];
  for (let next = iterator.next(); !next.done; next = iterator.next()) slots.push(next.value);
  return slots;
}

export function tally(slots: Iterable<number | undefined>): Map<number | undefined, number> {
  const counts = new Map<number | undefined, number>();
  for (const slot of slots) counts.set(slot, (counts.get(slot) ?? 0) + 1);
  return counts;
}

/** How far a node's count is from its share by weight, in standard deviations of a binomial draw; the worst node. */
export function worstDeviation(set: readonly Candidate[], counts: Map<number | undefined, number>): number {
  const draws = [...counts.values()].reduce((a, b) => a + b, 0);
  const total = set.reduce((sum, { weight }) => sum + weight, 0);
  return Math.max(
    ...set.map(({ slot, weight }) => {
      const share = weight / total;
      return Math.abs((counts.get(slot) ?? 0) - draws * share) / Math.sqrt(draws * share * (1 - share));
    }),
  );
}

/** The first choice of each of `count` devices. */
export function placements(selection: Selection, count: number): (number | undefined)[] {
  return Array.from({ length: count }, (_, i) => first(selection, deviceKey(i)));
}
