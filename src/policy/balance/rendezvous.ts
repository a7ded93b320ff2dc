import { BestFirst } from './best-first.ts';
import { hash32, mix32 } from './hash.ts';
import type { Candidate, Selection, SelectionKey } from './strategy.ts';

/** Other than the keys' seed, so that a device named like a node is hashed like any other. */
const NODE_SEED = 0x9747b28c;

/**
 * Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker 2005): each
 * node draws a number u in (0, 1) for the key from the hash of both, and the highest -weight / ln(u) wins. A node's
 * score depends on nothing but itself and the key. Therefore a node that leaves gives up its own devices only and
 * gets the same ones back, and a new weight moves devices to or from that node only, by the change of its share.
 */
export function rendezvous(set: readonly Candidate[], keyText: (key: SelectionKey) => string): Selection {
  // By id, so that equal scores are decided alike by all proxies, whatever their order of slots.
  const nodes = set.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const nodeHashes = Uint32Array.from(nodes, ({ id }) => hash32(id, NODE_SEED));
  const weights = Float64Array.from(nodes, ({ weight }) => weight);
  return {
    candidates(key) {
      const keyHash = hash32(keyText(key));
      return new BestFirst(nodes, (tried) => {
        let best = -1;
        let bestScore = 0;
        for (let i = 0; i < weights.length; i++) {
          if (tried?.[i] === 1) continue;
          const u = (mix32(keyHash ^ (nodeHashes[i] ?? 0)) + 0.5) / 2 ** 32;
          const score = -(weights[i] ?? 0) / Math.log(u);
          if (score > bestScore) {
            best = i;
            bestScore = score;
          }
        }
        return best;
      });
    },
  };
}
