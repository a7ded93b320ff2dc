import { BestFirst } from './best-first.ts';
import type { Strategy } from './strategy.ts';

/**
 * Smooth weighted round-robin as in nginx (`ngx_http_upstream_round_robin.c`): at each pick every candidate gains
 * its weight, the richest is chosen and pays the sum of the gains. Weights 5, 1, 1 give a a b a c a a rather than
 * a a a a a b c, and any run of as many picks as the weights sum up to is exact. A retry is a pick among the rest.
 *
 * The first pick of a set is drawn by weight instead: sets are rebuilt at every change and each thread has its own,
 * so a fixed start would favour one node.
 */
export const roundRobin: Strategy = (set, { random }) => {
  const weights = Float64Array.from(set, ({ weight }) => weight);
  const credit = new Float64Array(set.length);
  let fresh = true;
  const pick = (tried: Uint8Array | undefined): number => {
    let gained = 0;
    let best = -1;
    let bestCredit = 0;
    for (let i = 0; i < weights.length; i++) {
      if (tried?.[i] === 1) continue;
      const weight = weights[i] ?? 0;
      gained += weight;
      const mine = (credit[i] ?? 0) + weight;
      credit[i] = mine;
      if (fresh ? random() * gained < weight : best < 0 || mine > bestCredit) {
        best = i;
        bestCredit = mine;
      }
    }
    if (best >= 0) credit[best] = bestCredit - gained;
    fresh = false;
    return best;
  };
  return { candidates: () => new BestFirst(set, pick) };
};
