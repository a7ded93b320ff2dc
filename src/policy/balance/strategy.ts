import type { Random } from '../../base/time.ts';

/** A node as a strategy sees it: health and admin state were applied by whoever built the set. */
export interface Candidate {
  /** Slot in the routing table; what a selection yields. */
  readonly slot: number;
  /** Node id: hashes are over ids, so that all proxies agree and slots may differ. */
  readonly id: string;
  /** Relative share, above 0; only the proportions count. */
  readonly weight: number;
}

/** What a connection offers to be hashed by. */
export interface SelectionKey {
  readonly sourceAddress: string;
  /** Of a device that brings none: anything that is its own, so that such devices are not heaped on one node. */
  readonly clientId: string;
}

/** What a strategy may look at when it picks. */
export interface StrategyContext {
  /** Live connections at a slot, read at the moment of the pick. */
  readonly connections: (slot: number) => number;
  readonly random: Random;
}

/** Built from one set of candidates; cheap to ask for every connection. */
export interface Selection {
  /** Slots best first, each once: the retry order comes for free by going on with the iterator. */
  candidates(key: SelectionKey): Iterator<number, undefined>;
}

export type Strategy = (set: readonly Candidate[], context: StrategyContext) => Selection;
