import { randomUUID } from 'node:crypto';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { systemClock, systemTimers } from '../base/time.ts';
import type { CurrentConfig } from '../config/current.ts';
import type { NodeSpec } from '../nodes/node.ts';
import { nodeSpec } from '../nodes/spec.ts';
import type { NodeTable } from '../nodes/table.ts';
import { type ClaimsOptions, createClaims } from './claims.ts';
import { createDiscovered } from './discovered.ts';
import { resolveHost } from './discovery/resolve.ts';
import { connectionsElsewhere, startHeartbeat } from './heartbeat.ts';
import { desiredNodes, reconcile } from './reconcile.ts';
import { createSessionMemory, type SessionMemoryOptions } from './session-memory.ts';
import { createMemoryStore } from './store/memory.ts';
import { createRedisStore } from './store/redis.ts';
import type { LivingProxy, Membership, MembershipStore, ProxyBeat, StoreWatcher } from './store/store.ts';

/** How often claims are renewed: a few times within the shortest ttl that may be configured. */
const RENEW_INTERVAL_MS = 20_000;

/** Redis takes some ten thousand sessions a second. */
const DRAIN_TIMEOUT_MS = 2_000;

interface ClusterMemberOptions {
  readonly current: CurrentConfig;
  readonly proxyId: string;
  readonly nodes: NodeTable;
  readonly log: Log;
  readonly beat: () => ProxyBeat;
  readonly supersede: ClaimsOptions['supersede'];
  /** Connections that the other proxies have at a node. */
  readonly setRemote: (nodeId: string, connections: number) => void;
  /** Answers a connection of this proxy what is remembered of its session. */
  readonly recalledSession: SessionMemoryOptions['recalled'];
  readonly forgotten: SessionMemoryOptions['forgotten'];
  readonly answer: (question: unknown) => Promise<unknown>;
  readonly onSkipped: StoreWatcher['onSkipped'];
  /** Self-registered nodes whose heartbeats are missed, and are heard again. */
  readonly health: { absent(nodeId: string, cause: string): void; present(nodeId: string): void };
}

/** @param current what of it may change is looked at each time */
export function createStore(
  current: CurrentConfig,
  proxyId: string,
  onForgotten: SessionMemoryOptions['forgotten'],
): MembershipStore {
  const { cluster, membership } = current.config;
  if (membership.store === 'memory')
    return createMemoryStore(systemClock, {
      maxBytes: () => current.config.limits.sessionMemoryBytes,
      onForgotten: (count) => onForgotten('no-room', count),
    });
  const { url, heartbeatMs, signing } = membership;
  return createRedisStore({ url, cluster, proxyId, heartbeatMs, signing, resolve: resolveHost });
}

/**
 * This proxy as a member of its cluster: what is declared here, discovered and shared becomes the node table;
 * heartbeats go out, and what the others carry comes in.
 */
export function joinCluster(store: MembershipStore, options: ClusterMemberOptions) {
  const { current, proxyId, nodes, log, health } = options;
  const declared = (): NodeSpec[] => current.config.pools.flatMap((pool) => pool.nodes);
  const discovered = createDiscovered({
    onChange: () => update(),
    onFault: (cause) => log.warn({ cause }, 'discovery failed: its nodes stay as they are'),
  });
  const claims = createClaims({ proxy: proxyId, store, supersede: options.supersede });
  const sessions = createSessionMemory({
    ...{ start: randomUUID(), store, clock: systemClock, timers: systemTimers },
    ...{ recalled: options.recalledSession, forgotten: options.forgotten },
  });
  const heartbeat = startHeartbeat({
    store,
    intervalMs: current.config.membership.heartbeatMs,
    beat: options.beat,
  });
  /** What fails is made good by the next. */
  const renew = (): void => void claims.renew().catch(() => {});
  const renewal = setInterval(renew, RENEW_INTERVAL_MS);
  let membership: Membership = { nodes: new Map(), decisions: new Map() };
  let proxies: readonly LivingProxy[] = [];

  /** The store may hold what this proxy cannot use: nodes of pools it does not have, or of a newer version. */
  const refused = new Set<string>();
  function isUsable({ id, pool, url, weight, maxConnections, probeUrl, source }: NodeSpec): boolean {
    try {
      if (!current.config.pools.some(({ name }) => name === pool)) throw new Error(`no pool ${pool} here`);
      nodeSpec({ id, pool, url, weight, maxConnections, probeUrl, source });
      refused.delete(id);
      return true;
    } catch (error) {
      if (!refused.has(id)) log.warn({ node: id, cause: messageOf(error) }, 'shared node is not used');
      refused.add(id);
      return false;
    }
  }

  /** While a reload is under way: devices may still be placed at the nodes of before. */
  let keepsOthers = false;
  function update(): void {
    const shared = [...membership.nodes].filter(([, node]) => isUsable(node));
    const usable = { ...membership, nodes: new Map(shared) };
    reconcile(nodes, desiredNodes(declared(), discovered.nodes(), usable), keepsOthers);
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
    sessions,
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
        onSkipped: options.onSkipped,
        onUp: (up, cause) => {
          if (up) {
            log.info('membership store answers again');
            renew();
            sessions.settle();
          } else log.error({ cause }, 'membership store does not answer: membership stays as it is');
        },
      });
      await heartbeat.first();
      discovered.follow(current.config.pools);
    },
    /** The configuration has changed: its nodes and discoveries are followed, those that stay are not touched. */
    enter(): void {
      keepsOthers = true;
      discovered.follow(current.config.pools);
      update();
    },
    /** Devices are placed by the new configuration: nodes that it has not any more go. */
    leaveOthers(): void {
      keepsOthers = false;
      update();
    },
    async leave(): Promise<void> {
      clearInterval(renewal);
      discovered.stop();
      await sessions.stop(DRAIN_TIMEOUT_MS);
      await heartbeat.leave(proxyId);
      await store.close();
    },
  };
}

export type ClusterMember = ReturnType<typeof joinCluster>;
