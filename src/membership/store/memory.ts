/** The membership store of a proxy that stands alone. It is kept in memory and shares nothing. */

import { readHanded } from '../../base/read-handed.ts';
import { type Clock, systemClock } from '../../base/time.ts';
import { MemoryNodes } from './memory-nodes.ts';
import { MemoryPlaces } from './memory-places.ts';
import { memoryState } from './memory-state.ts';
import type { ClientKey, MembershipStore, ProxyBeat, StoreWatcher } from './store.ts';
import { createStoredSessions, type StoredBounds } from './stored-sessions.ts';

type Watched = Pick<StoreWatcher, 'onMembership' | 'onProxies'>;
const nobody: Watched = { onMembership() {}, onProxies() {} };

/**
 * Membership of one proxy that stands alone; it ends with the process.
 * @param stored bounds the sessions of devices that are away
 */
export function createMemoryStore(
  clock: Clock = systemClock,
  stored: StoredBounds = { maxBytes: () => Number.POSITIVE_INFINITY, onForgotten() {} },
): MembershipStore {
  const registry = new LeaseKeeper(clock);
  const { nodes } = registry;
  const places = new MemoryPlaces(clock);
  const shared = new Map<string, string>();
  const sessions = createStoredSessions(clock, stored);

  return {
    kind: 'memory',
    isUp: () => true,
    open: async (watcher) => registry.open(watcher),

    addNode: async (spec) => {
      nodes.add(spec);
      registry.changed();
    },
    removeNode: async (id) => {
      nodes.remove(id);
      registry.changed();
    },
    decide: async (id, decision) => {
      nodes.decide(id, decision);
      registry.changed();
    },
    leaveNode: async (id) => {
      if (nodes.leave(id)) registry.changed();
    },
    beatNode: async (spec, leaseMs, forgetAfterMs) => {
      const isNews = nodes.beat(spec, leaseMs, forgetAfterMs);
      registry.schedule();
      if (isNews) registry.changed();
    },
    beatProxy: async (beat, leaseMs) => registry.beatProxy(beat, leaseMs),
    leaveProxy: async (id) => registry.leaveProxy(id),

    recallClient: async (client) => places.recall(keyOf(client)),
    claimClient: async (client, place, ttlMs, epoch) => places.claim(keyOf(client), place, ttlMs, epoch),
    moveClient: async (client, place) => places.move(keyOf(client), place),
    renewClients: async (proxy, clients, ttlMs) => {
      for (const client of clients) places.renew(proxy, keyOf(client), ttlMs);
      return clients.filter((client) => places.recall(keyOf(client)) === undefined);
    },

    takeSession: async (client, connection, isFinal) => sessions.take(keyOf(client), connection, isFinal),
    keepSession: async (client, connection, session, ttlMs) =>
      sessions.keep(keyOf(client), connection, session, ttlMs),

    async share(name, next, before) {
      const there = shared.get(name);
      if (there !== undefined && there !== before) return there;
      shared.set(name, next);
      return next;
    },
    ask: async () => ({ given: new Map(), missing: [] }),
    describe: () => ({
      ...{ nodes: nodes.describe(), places: places.describe(), sessions: sessions.describe() },
      shared: [...shared],
    }),
    restore(described) {
      const state = readHanded(memoryState, described, 'the memory store');
      nodes.restore(state.nodes);
      places.restore(state.places);
      sessions.restore(state.sessions);
      for (const [name, text] of state.shared) if (!shared.has(name)) shared.set(name, text);
      registry.changed();
      registry.schedule();
    },
    close: async () => registry.close(),
  };
}

/** Nodes and proxies whose leases run out in time. It has the one timer for both, and reports changes. */
class LeaseKeeper {
  readonly nodes: MemoryNodes;
  private readonly clock: Clock;
  private readonly proxies = new Map<string, { beat: ProxyBeat; beatAt: number; endsAt: number }>();
  private watcher = nobody;
  private timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    this.nodes = new MemoryNodes(clock);
  }

  open(watcher: Watched): void {
    this.watcher = watcher;
    this.changed();
  }

  changed(): void {
    this.watcher.onMembership(this.nodes.membership());
  }

  beatProxy(beat: ProxyBeat, leaseMs: number): void {
    const beatAt = this.clock.now();
    this.proxies.set(beat.id, { beat, beatAt, endsAt: beatAt + leaseMs });
    this.schedule();
    this.tellProxies();
  }

  leaveProxy(id: string): void {
    if (this.proxies.delete(id)) this.tellProxies();
  }

  /** Comes back when the next lease ends. One that has ended since the last look is due at once. */
  schedule(): void {
    clearTimeout(this.timer);
    let next = this.nodes.nextEnd();
    for (const { endsAt } of this.proxies.values()) next = Math.min(next, endsAt);
    if (!Number.isFinite(next)) return;
    const waitMs = Math.max(0, Math.ceil(next - this.clock.now()));
    this.timer = setTimeout(() => this.endLeases(), waitMs).unref();
  }

  close(): void {
    clearTimeout(this.timer);
    this.watcher = nobody;
  }

  private endLeases(): void {
    const isChanged = this.nodes.endLeases();
    const now = this.clock.now();
    const gone = [...this.proxies].filter(([, { endsAt }]) => endsAt <= now);
    for (const [id] of gone) this.proxies.delete(id);
    this.schedule();
    if (isChanged) this.changed();
    if (gone.length > 0) this.tellProxies();
  }

  private tellProxies(): void {
    const now = this.clock.now();
    const living = [...this.proxies.values()];
    this.watcher.onProxies(living.map(({ beat, beatAt }) => ({ ...beat, lastSeen: (now - beatAt) / 1000 })));
  }
}

/** No name of a pool has a space. */
function keyOf({ pool, clientId }: ClientKey): string {
  return `${pool} ${clientId}`;
}
