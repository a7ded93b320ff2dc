import type { Config } from '../config/config.ts';
import { type ClaimsOptions, createClaims } from '../control/claims.ts';
import { connectionsElsewhere, startHeartbeat } from '../control/heartbeat.ts';
import { desiredNodes, reconcile } from '../control/reconcile.ts';
import type { DiscoveredNode } from '../discovery/discovery.ts';
import { createDiscovery } from '../discovery/index.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { createMemoryStore } from '../membership/memory.ts';
import { createRedisStore } from '../membership/redis.ts';
import type { LivingProxy, Membership, MembershipStore, ProxyBeat } from '../membership/store.ts';
import type { NodeSpec } from '../nodes/node.ts';
import { nodeSpec } from '../nodes/spec.ts';
import type { NodeTable } from '../nodes/table.ts';

/** How often claims are renewed: a few times within the shortest ttl that may be configured. */
const RENEW_INTERVAL_MS = 20_000;

export interface ClusterMemberOptions {
  readonly config: Config;
  readonly proxyId: string;
  readonly nodes: NodeTable;
  readonly log: Log;
  readonly beat: () => ProxyBeat;
  readonly kick: ClaimsOptions['kick'];
  /** Connections that the other proxies have at a node. */
  readonly setRemote: (nodeId: string, connections: number) => void;
  readonly answer: (question: unknown) => Promise<unknown>;
  /** Self-registered nodes whose heartbeats are missed, and are heard again. */
  readonly health: { absent(nodeId: string, cause: string): void; present(nodeId: string): void };
}

export function createStore({ cluster, membership }: Config, proxyId: string): MembershipStore {
  if (membership.store === 'memory') return createMemoryStore();
  return createRedisStore({ url: membership.url, cluster, proxyId, heartbeatMs: membership.heartbeatMs });
}

/**
 * This proxy as a member of its cluster: what is declared here, discovered and shared becomes the node table;
 * heartbeats go out, and what the others carry comes in.
 */
export function joinCluster(store: MembershipStore, options: ClusterMemberOptions) {
  const { config, proxyId, nodes, log, health } = options;
  const declared = config.pools.flatMap((pool) => pool.nodes);
  const discoveries = config.pools.flatMap((pool) =>
    pool.discovery.map((discovery) => createDiscovery(discovery, pool.name)),
  );
  const discovered: (readonly DiscoveredNode[])[] = discoveries.map(() => []);
  const claims = createClaims({ proxy: proxyId, store, kick: options.kick });
  const heartbeat = startHeartbeat({ store, intervalMs: config.membership.heartbeatMs, beat: options.beat });
  /** What fails is made good by the next. */
  const renew = (): void => void claims.renew().catch(() => {});
  const renewal = setInterval(renew, RENEW_INTERVAL_MS);
  let membership: Membership = { nodes: new Map(), decisions: new Map() };
  let proxies: readonly LivingProxy[] = [];

  /** The store may hold what this proxy cannot use: nodes of pools it does not have, or of a newer version. */
  const refused = new Set<string>();
  function isUsable({ id, pool, url, weight, maxConnections, probeUrl, source }: NodeSpec): boolean {
    try {
      if (!config.pools.some(({ name }) => name === pool)) throw new Error(`no pool ${pool} here`);
      nodeSpec({ id, pool, url, weight, maxConnections, probeUrl, source });
      refused.delete(id);
      return true;
    } catch (error) {
      if (!refused.has(id)) log.warn({ node: id, cause: messageOf(error) }, 'shared node is not used');
      refused.add(id);
      return false;
    }
  }

  function update(): void {
    const shared = [...membership.nodes].filter(([, node]) => isUsable(node));
    const usable = { ...membership, nodes: new Map(shared) };
    reconcile(nodes, desiredNodes(declared, discovered.flat(), usable));
    for (const [, { id, late }] of shared) {
      if (late) health.absent(id, 'heartbeats missed');
      else health.present(id);
    }
  }

  function onProxies(living: readonly LivingProxy[]): void {
    proxies = living;
    const elsewhere = connectionsElsewhere(living, proxyId);
    for (const { id } of nodes.list()) options.setRemote(id, elsewhere.get(id) ?? 0);
  }

  return {
    claims,
    declared,
    proxies: () => proxies,
    isRemoved: (nodeId: string): boolean => membership.decisions.get(nodeId)?.removed === true,
    /** Resolves when the first nodes are known, as far as they can be. */
    async start(): Promise<void> {
      update();
      await store.open({
        onMembership: (next) => {
          membership = next;
          update();
        },
        onProxies,
        onClaim: claims.rivalled,
        onAsk: options.answer,
        onUp: (up, cause) => {
          if (up) {
            log.info('membership store answers again');
            renew();
          } else log.error({ cause }, 'membership store does not answer: membership stays as it is');
        },
      });
      await heartbeat.first();
      for (const [index, discovery] of discoveries.entries()) {
        discovery.start(
          (found) => {
            discovered[index] = found;
            update();
          },
          (cause) => log.warn({ cause }, 'discovery failed: its nodes stay as they are'),
        );
      }
    },
    async leave(): Promise<void> {
      clearInterval(renewal);
      for (const discovery of discoveries) discovery.stop();
      await heartbeat.leave(proxyId);
      await store.close();
    },
  };
}

export type ClusterMember = ReturnType<typeof joinCluster>;
