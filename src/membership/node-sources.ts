/** Decides which nodes this proxy has, from all places that can name nodes. */

import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { CurrentConfig } from '../config/current.ts';
import type { NodeSpec } from '../nodes/node.ts';
import { nodeSpec } from '../nodes/spec.ts';
import type { NodeTable } from '../nodes/table.ts';
import { Discovered } from './discovered.ts';
import { desiredNodes, reconcile } from './reconcile.ts';
import type { Membership } from './store/store.ts';

interface NodeSourcesOptions {
  readonly current: CurrentConfig;
  readonly nodes: NodeTable;
  readonly log: Log;
  /** Self-registered nodes whose heartbeats are missed, and are heard again. */
  readonly health: { absent(nodeId: string, cause: string): void; present(nodeId: string): void };
}

type Shared = Pick<Membership, 'nodes' | 'decisions'>;

/** Makes the node table of three sources: nodes of the configuration, of discovery, and of the shared store. */
export class NodeSources {
  private readonly options: NodeSourcesOptions;
  private readonly discovered: Discovered;
  private membership: Shared = { nodes: new Map(), decisions: new Map() };
  /** Shared nodes that cannot be used here, each of which is logged once. */
  private readonly refused = new Set<string>();
  /** While a reload is under way: devices may still be placed at the nodes of before. */
  private keepsOthers = false;

  constructor(options: NodeSourcesOptions) {
    this.options = options;
    this.discovered = new Discovered({
      onChange: () => this.update(),
      onFault: (cause) => options.log.warn({ cause }, 'discovery failed: its nodes stay as they are'),
    });
  }

  declared(): NodeSpec[] {
    return this.options.current.config.pools.flatMap((pool) => pool.nodes);
  }

  isRemoved(nodeId: string): boolean {
    return this.membership.decisions.get(nodeId)?.removed === true;
  }

  /** What the store holds. */
  share(membership: Shared): void {
    this.membership = membership;
    this.update();
  }

  /** Follows the discoveries of the present configuration. */
  follow(): void {
    this.discovered.follow(this.options.current.config.pools);
  }

  /** The configuration has changed: its nodes and discoveries are followed, those that stay are not touched. */
  enter(): void {
    this.keepsOthers = true;
    this.follow();
    this.update();
  }

  /** Devices are placed by the new configuration: nodes that it does not have go. */
  leaveOthers(): void {
    this.keepsOthers = false;
    this.update();
  }

  update(): void {
    const { nodes, health } = this.options;
    const shared = [...this.membership.nodes].filter(([, node]) => this.isUsable(node));
    const usable = { ...this.membership, nodes: new Map(shared) };
    reconcile(nodes, desiredNodes(this.declared(), this.discovered.nodes(), usable), this.keepsOthers);
    for (const [, { id, late }] of shared) {
      if (late) health.absent(id, 'heartbeats missed');
      else health.present(id);
    }
  }

  stop(): void {
    this.discovered.stop();
  }

  /** The store may hold what this proxy cannot use: nodes of pools it does not have, or of a newer version. */
  private isUsable({ id, pool, url, weight, maxConnections, probeUrl, source }: NodeSpec): boolean {
    const { current, log } = this.options;
    try {
      if (!current.config.pools.some(({ name }) => name === pool)) throw new Error(`no pool ${pool} here`);
      nodeSpec({ id, pool, url, weight, maxConnections, probeUrl, source });
      this.refused.delete(id);
      return true;
    } catch (error) {
      if (!this.refused.has(id)) log.warn({ node: id, cause: messageOf(error) }, 'shared node is not used');
      this.refused.add(id);
      return false;
    }
  }
}
