import { randomUUID } from 'node:crypto';
import type { Log } from '../base/log.ts';
import { systemClock, systemTimers } from '../base/time.ts';
import type { CurrentConfig } from '../config/current.ts';
import type { NodeSpec } from '../nodes/node.ts';
import type { NodeTable } from '../nodes/table.ts';
import { type Claims, type ClaimsOptions, createClaims } from './claims.ts';
import { resolveHost } from './discovery/resolve.ts';
import { connectionsElsewhere, Heartbeat } from './heartbeat.ts';
import { LostProxies, type LostProxy } from './lost-proxies.ts';
import { NodeSources } from './node-sources.ts';
import { RememberedSessions, type SessionMemoryOptions } from './remembered-sessions.ts';
import { MemoryStore } from './store/memory.ts';
import type { LivingProxy, Membership, MembershipStore, ProxyBeat, StoreWatcher } from './store/store.ts';

/** How often claims are renewed: a few times within the shortest ttl that may be configured. */
const RENEW_INTERVAL_MS = 20_000;

/** How long the end waits for the store to take what is known of sessions. Redis takes some ten thousand a second. */
const DRAIN_TIMEOUT_MS = 2_000;

interface ClusterMemberOptions {
  readonly current: CurrentConfig;
  readonly proxyId: string;
  readonly nodes: NodeTable;
  readonly log: Log;
  readonly beat: () => ProxyBeat;
  readonly supersede: ClaimsOptions['supersede'];
  readonly acceptedElsewhere: ClaimsOptions['acceptedElsewhere'];
  /** Connections that the other proxies have at a node. */
  readonly setRemote: (nodeId: string, connections: number) => void;
  /** Sends a connection of this proxy what is remembered of its session. */
  readonly recalledSession: SessionMemoryOptions['recalled'];
  readonly forgotten: SessionMemoryOptions['forgotten'];
  /** Whom the cluster bans, whenever something has changed in the store. */
  readonly onBans: (bans: Membership['bans']) => void;
  readonly answer: (question: unknown) => Promise<unknown>;
  /** By which the store knows connections of this proxy, where it has had an older process. */
  readonly sessionsStart?: string | undefined;
  /** An older process of this proxy still speaks for it: `speak` ends that. */
  readonly isSilent: boolean;
  readonly onSkipped: StoreWatcher['onSkipped'];
  /** The store has stopped to answer, or answers again. */
  readonly onStore: StoreWatcher['onUp'];
  readonly onProxyLost: (proxy: LostProxy) => void;
  readonly onProxyBack: (id: string) => void;
  /** Self-registered nodes whose heartbeats are missed, and are heard again. */
  readonly health: { absent(nodeId: string, cause: string): void; present(nodeId: string): void };
}

export interface StoreOutage {
  readonly cause: string | undefined;
  /** RFC 3339. */
  readonly since: string;
}

/** @param current what of it may change is looked at each time */
export async function createStore(
  current: CurrentConfig,
  proxyId: string,
  onForgotten: SessionMemoryOptions['forgotten'],
): Promise<MembershipStore> {
  const { cluster, membership } = current.config;
  if (membership.store === 'memory')
    return new MemoryStore(systemClock, {
      maxBytes: () => current.config.limits.sessionMemoryBytes,
      onForgotten: (count) => onForgotten('no-room', count),
    });
  const { url, heartbeatMs, signing } = membership;
  const { RedisStore } = await import('./store/redis.ts'); // a client that takes its time to load
  return new RedisStore({ url, cluster, proxyId, heartbeatMs, signing, resolve: resolveHost });
}

/**
 * This proxy as a member of its cluster: what is declared here, discovered and shared becomes the node table;
 * heartbeats go out, and what the others carry comes in.
 */
export class ClusterMember {
  readonly claims: Claims;
  readonly sessions: RememberedSessions;
  private readonly store: MembershipStore;
  private readonly options: ClusterMemberOptions;
  private readonly sources: NodeSources;
  private readonly heartbeat: Heartbeat;
  private readonly renewal: NodeJS.Timeout;
  private readonly lost: LostProxies;
  /** By id; those too that are over. */
  bans: Membership['bans'] = new Map();
  private living: readonly LivingProxy[] = [];
  private storeOutage: StoreOutage | undefined;
  private speaks: boolean;

  constructor(store: MembershipStore, options: ClusterMemberOptions) {
    const { current, proxyId } = options;
    const { membership } = current.config;
    this.store = store;
    this.options = options;
    this.speaks = !options.isSilent;
    this.sources = new NodeSources(options);
    this.claims = createClaims({
      ...{ proxy: proxyId, store, supersede: options.supersede },
      acceptedElsewhere: options.acceptedElsewhere,
      ...{ clock: systemClock, timers: systemTimers },
      recallTimeoutMs: () => current.config.membership.recallTimeoutMs,
    });
    this.sessions = new RememberedSessions({
      ...{ start: options.sessionsStart ?? randomUUID(), store, clock: systemClock, timers: systemTimers },
      ...{ recalled: options.recalledSession, forgotten: options.forgotten },
    });
    this.heartbeat = new Heartbeat({
      ...{ store, intervalMs: membership.heartbeatMs, beat: options.beat },
      speaks: () => this.speaks,
    });
    this.renewal = setInterval(() => this.renew(), RENEW_INTERVAL_MS);
    this.lost = new LostProxies({
      ...{ clock: { now: Date.now }, heartbeatMs: membership.heartbeatMs },
      ...{ onLost: options.onProxyLost, onBack: options.onProxyBack },
    });
  }

  declared(): NodeSpec[] {
    return this.sources.declared();
  }

  proxies(): readonly LivingProxy[] {
    return this.living;
  }

  /** Undefined while the store answers. */
  outage(): StoreOutage | undefined {
    return this.storeOutage;
  }

  lostProxies(): readonly LostProxy[] {
    return this.lost.list();
  }

  isRemoved(nodeId: string): boolean {
    return this.sources.isRemoved(nodeId);
  }

  /** Resolves when the first nodes are known, as far as they can be. */
  async start(): Promise<void> {
    const { answer, onSkipped } = this.options;
    this.sources.update();
    await this.store.open({
      onMembership: (membership) => this.onMembership(membership),
      onProxies: (living) => this.onProxies(living),
      onClaim: this.claims.rivalled,
      onAsk: (question) => (this.speaks ? answer(question) : undefined),
      onSkipped,
      onUp: (up, cause) => this.onUp(up, cause),
    });
    await this.heartbeat.beat();
    this.sources.follow();
  }

  /** From now on this process says who the proxy is, that it lives, and what its devices are: no other one does. */
  async speak(): Promise<void> {
    this.speaks = true;
    await this.heartbeat.beat();
    this.renew();
  }

  /** Another process does from now on, and nothing of this one is said to the other proxies any more. */
  silence(): void {
    this.speaks = false;
  }

  /** A reload: nodes of the new configuration come. */
  enter(): void {
    this.sources.enter();
  }

  /** A reload: nodes that are not in it go. */
  leaveOthers(): void {
    this.sources.leaveOthers();
  }

  async leave(): Promise<void> {
    clearInterval(this.renewal);
    this.sources.stop();
    await this.sessions.stop(DRAIN_TIMEOUT_MS);
    await this.heartbeat.leave(this.options.proxyId);
    await this.store.close();
  }

  /** A claim that fails is repeated by the next renewal. */
  private renew(): void {
    if (this.speaks) void this.claims.renew().catch(() => {});
  }

  private onMembership(membership: Membership): void {
    this.bans = membership.bans;
    this.options.onBans(membership.bans);
    this.sources.share(membership);
  }

  private onProxies(living: readonly LivingProxy[]): void {
    const { nodes, proxyId, setRemote } = this.options;
    this.living = living;
    this.lost.update(living);
    const elsewhere = connectionsElsewhere(living, proxyId);
    for (const { id } of nodes.list()) setRemote(id, elsewhere.get(id) ?? 0);
  }

  private onUp(up: boolean, cause: string | undefined): void {
    const { log, onStore } = this.options;
    onStore(up, cause);
    this.storeOutage = up ? undefined : { cause, since: new Date().toISOString() };
    if (!up) return log.error({ cause }, 'membership store does not answer: membership stays as it is');
    log.info('membership store answers again');
    this.renew();
    this.sessions.closeMissed();
  }
}
