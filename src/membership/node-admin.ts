/** What people do to nodes at run time: add, change and remove them, for all proxies of the cluster. */

import { BreakwaterError } from '../base/errors.ts';
import { didYouMean } from '../base/similar.ts';
import type { Node, NodeCreate, NodePatch, NodeSpec } from '../nodes/node.ts';
import { checkMaxConnections, checkWeight, nodeSpec } from '../nodes/spec.ts';
import type { NodeTable } from '../nodes/table.ts';
import { protocolOf } from '../nodes/url.ts';
import type { MembershipStore } from './store/store.ts';

interface NodeAdminOptions {
  readonly table: NodeTable;
  readonly store: Pick<MembershipStore, 'addNode' | 'removeNode' | 'decide'>;
  /** Names, in the configuration's order. */
  readonly pools: () => readonly string[];
  /** Nodes of the configuration and the flags. */
  readonly declared: () => readonly NodeSpec[];
  /** A person removed this node, which is still declared, discovered or registering itself. */
  readonly isRemoved: (id: string) => boolean;
}

/** What people do to nodes while Breakwater runs. A change goes to the store and comes back as its snapshot. */
export function createNodeAdmin({ table, store, pools, declared, isRemoved }: NodeAdminOptions) {
  const declarationOf = (id: string): NodeSpec | undefined => declared().find((spec) => spec.id === id);

  return {
    /** @throws BreakwaterError NODE_INVALID, NODE_EXISTS, POOL_UNKNOWN, STORE_UNAVAILABLE */
    async add(request: NodeCreate): Promise<Node> {
      const names = pools();
      const pool = request.pool ?? names[0] ?? '';
      if (!names.includes(pool)) {
        throw new BreakwaterError(
          'POOL_UNKNOWN',
          `no pool "${pool}"${didYouMean(pool, names)}; pools are ${names.join(', ')}`,
        );
      }
      const spec = nodeSpec({ ...request, pool, source: 'api' });
      const other = table.list().find((node) => node.pool === pool);
      if (other !== undefined && protocolOf(other.url) !== protocolOf(spec.url)) {
        const kinds = `${spec.url} speaks ${protocolOf(spec.url)}, and ${other.id} of pool ${pool} ${protocolOf(other.url)}`;
        throw new BreakwaterError('NODE_INVALID', `${kinds}; choose another pool`);
      }
      const declaration = declarationOf(spec.id);
      if (table.has(spec.id) || (declaration !== undefined && declaration.url !== spec.url)) {
        const where = declaration === undefined ? 'exists already' : `is declared as ${declaration.url}`;
        throw new BreakwaterError('NODE_EXISTS', `node ${spec.id} ${where}; choose another id`);
      }
      if (isRemoved(spec.id)) {
        const weight = request.weight ?? declaration?.weight ?? spec.weight;
        const { maxConnections } = request;
        await store.decide(spec.id, { removed: false, weight, maxConnections, state: 'enabled' });
        if (table.has(spec.id)) return table.get(spec.id);
      }
      await store.addNode(spec);
      return table.get(spec.id);
    },

    /** @throws BreakwaterError NODE_UNKNOWN, NODE_INVALID, STORE_UNAVAILABLE */
    async change(id: string, patch: NodePatch): Promise<Node> {
      table.get(id);
      if (patch.weight !== undefined) checkWeight(id, patch.weight);
      if (patch.maxConnections !== undefined) checkMaxConnections(id, patch.maxConnections);
      await store.decide(id, patch);
      return table.get(id);
    },

    /**
     * It takes no new connection; those that it has stay until they end. A node that would come again by itself
     * (declared, discovered, registering itself) stays away until it is added again. @throws BreakwaterError NODE_UNKNOWN, STORE_UNAVAILABLE
     */
    async remove(id: string): Promise<void> {
      if (table.get(id).source === 'api') await store.removeNode(id);
      else await store.decide(id, { removed: true });
    },
  };
}

export type NodeAdmin = ReturnType<typeof createNodeAdmin>;
