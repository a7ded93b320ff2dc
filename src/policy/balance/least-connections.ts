import { BestFirst } from './best-first.ts';
import type { Strategy } from './strategy.ts';

/**
 * The node with the fewest live connections for its weight, counted at the moment of each pick, retries too.
 * Ties are drawn by weight, so that an empty cluster does not send its first devices from all proxies to one node.
 */
export const leastConnections: Strategy = (set, { connections, random }) => {
  const slots = Uint32Array.from(set, ({ slot }) => slot);
  const weights = Float64Array.from(set, ({ weight }) => weight);
  const pick = (tried: Uint8Array | undefined): number => {
    let best = -1;
    let bestLoad = Number.POSITIVE_INFINITY;
    let tiedWeight = 0;
    for (let i = 0; i < slots.length; i++) {
      if (tried?.[i] === 1) continue;
      const weight = weights[i] ?? 0;
      const load = connections(slots[i] ?? 0) / weight;
      if (load > bestLoad) continue;
      tiedWeight = load < bestLoad ? weight : tiedWeight + weight;
      if (load < bestLoad || random() * tiedWeight < weight) best = i;
      bestLoad = load;
    }
    return best;
  };
  return { candidates: () => new BestFirst(set, pick) };
};
