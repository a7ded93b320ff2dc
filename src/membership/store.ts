import type { AdminState, NodeSpec } from '../nodes/node.ts';

/**
 * Membership: what the proxies of one cluster share about nodes. Every implementation passes `test/contract/store.ts`.
 *
 * The store holds nodes that were added at run time, and what people decided about any node, declared elsewhere or not.
 * It tells whole snapshots, not changes: whoever missed one is right again with the next.
 */
export interface Membership {
  readonly nodes: ReadonlyMap<string, NodeSpec>;
  readonly decisions: ReadonlyMap<string, Decision>;
}

/** What a person decided about a node; it outlives restarts of the node, and overrides what was declared. */
export interface Decision {
  readonly state?: AdminState | undefined;
  readonly weight?: number | undefined;
  /** A declared node that was removed at run time; adding it again takes this back. */
  readonly removed?: boolean | undefined;
}

export interface MembershipStore {
  readonly kind: 'memory' | 'redis';
  /** Whether the store answers; the memory store always does. */
  isUp(): boolean;
  /**
   * Tells the present snapshot before it resolves, and every later one. A change that was made through this store is
   * told before its promise resolves.
   */
  open(onChange: (membership: Membership) => void): Promise<void>;
  /** @throws BreakwaterError NODE_EXISTS, STORE_UNAVAILABLE */
  addNode(spec: NodeSpec): Promise<void>;
  /** Forgets the node and what was decided about it; unknown ids are no error. @throws BreakwaterError STORE_UNAVAILABLE */
  removeNode(id: string): Promise<void>;
  /** Lays the fields that are given, not undefined, over what was decided before. @throws BreakwaterError STORE_UNAVAILABLE */
  decide(id: string, decision: Decision): Promise<void>;
  close(): Promise<void>;
}
