import type { NodeSpec } from '../../nodes/node.ts';

/** A node as a discovery sees it now. */
export interface DiscoveredNode {
  /** Its `source` is `dns` or `emqx`. Ids are unique within one discovery, and stay the same from answer to answer. */
  readonly spec: NodeSpec;
  /** The source says that the node shall take no new connection. */
  readonly draining: boolean;
}

/** One source that finds nodes by itself. It forgets nothing on failure: its last answer holds. */
export interface Discovery {
  /**
   * Asks at once and then again and again. `onNodes` is told the whole set, sorted by id, when it differs from the last;
   * `onFault` once per outage, with a cause that holds no secret. Neither is called after `stop`.
   */
  start(onNodes: (nodes: readonly DiscoveredNode[]) => void, onFault: (cause: string) => void): void;
  stop(): void;
}
