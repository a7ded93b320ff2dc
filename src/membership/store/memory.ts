import { BreakwaterError } from '../../base/errors.ts';
import { type Clock, systemClock } from '../../base/time.ts';
import { createRestingSessions, type RestingBounds } from './resting-sessions.ts';
import type {
  BeatingNode,
  ClientKey,
  ClientPlace,
  Decision,
  Membership,
  MembershipStore,
  ProxyBeat,
  StoredNode,
  StoreWatcher,
} from './store.ts';

/** Places that are remembered at most, about 200 MB; beyond that the longest untouched is forgotten. */
const CLIENTS_MAX = 1_000_000;

interface Lease {
  readonly endsAt: number;
  readonly forgetAt: number;
}

type Watched = Pick<StoreWatcher, 'onMembership' | 'onProxies'>;
const nobody: Watched = { onMembership() {}, onProxies() {} };

/**
 * Membership of one proxy that stands alone; it ends with the process.
 * @param resting bounds the sessions of devices that are away
 */
export function createMemoryStore(
  clock: Clock = systemClock,
  resting: RestingBounds = { maxBytes: () => Number.POSITIVE_INFINITY, onForgotten() {} },
): MembershipStore {
  const nodes = new Map<string, StoredNode>();
  const decisions = new Map<string, Decision>();
  const leases = new Map<string, Lease>();
  const proxies = new Map<string, { beat: ProxyBeat; beatAt: number; endsAt: number }>();
  const places = createPlaces(clock);
  const shared = new Map<string, string>();
  const sessions = createRestingSessions(clock, resting);
  let watcher = nobody;
  let sweeping: NodeJS.Timeout | undefined;

  const membership = (): Membership => ({ nodes, decisions });
  const changed = (): void => watcher.onMembership(membership());

  function tellProxies(): void {
    const now = clock.now();
    const living = [...proxies.values()];
    watcher.onProxies(living.map(({ beat, beatAt }) => ({ ...beat, lastSeen: (now - beatAt) / 1000 })));
  }

  /** Ends what has run out, and comes back when the next thing does. */
  function sweep(): void {
    clearTimeout(sweeping);
    const now = clock.now();
    let changes = 0;
    for (const [id, { endsAt, forgetAt }] of leases) {
      const node = nodes.get(id);
      if (forgetAt <= now) {
        leases.delete(id);
        nodes.delete(id);
        changes++;
      } else if (node && !node.late && endsAt <= now) {
        nodes.set(id, { ...node, late: true });
        changes++;
      }
    }
    const gone = [...proxies].filter(([, { endsAt }]) => endsAt <= now);
    for (const [id] of gone) proxies.delete(id);
    scheduleSweep();
    if (changes > 0) changed();
    if (gone.length > 0) tellProxies();
  }

  function scheduleSweep(): void {
    clearTimeout(sweeping);
    const ends = [...leases].map(([id, { endsAt, forgetAt }]) => (nodes.get(id)?.late ? forgetAt : endsAt));
    for (const { endsAt } of proxies.values()) ends.push(endsAt);
    // What has ended since the last look is due at once, not passed over.
    const next = Math.min(...ends);
    if (Number.isFinite(next))
      sweeping = setTimeout(sweep, Math.max(0, Math.ceil(next - clock.now()))).unref();
  }

  return {
    kind: 'memory',
    isUp: () => true,
    open: async (openWatcher) => {
      watcher = openWatcher;
      changed();
    },

    addNode: async (spec) => {
      if (nodes.has(spec.id)) {
        throw new BreakwaterError(
          'NODE_EXISTS',
          `node ${spec.id} exists already; choose another id, or remove it first`,
        );
      }
      nodes.set(spec.id, { ...spec, late: false });
      decisions.delete(spec.id);
      changed();
    },
    removeNode: async (id) => {
      nodes.delete(id);
      leases.delete(id);
      decisions.delete(id);
      changed();
    },
    decide: async (id, decision) => {
      const given = Object.entries(decision).filter(([, value]) => value !== undefined);
      decisions.set(id, { ...decisions.get(id), ...Object.fromEntries(given) });
      changed();
    },
    leaveNode: async (id) => {
      leases.delete(id);
      if (!nodes.delete(id)) return;
      const { state, ...others } = decisions.get(id) ?? {};
      if (state === 'draining') decisions.delete(id);
      if (state === 'draining' && Object.keys(others).length > 0) decisions.set(id, others);
      changed();
    },
    beatNode: async (spec, leaseMs, forgetAfterMs) => {
      const before = nodes.get(spec.id);
      if (before && !leases.has(spec.id)) return; // a person added it, and it stays as that person did
      const endsAt = clock.now() + leaseMs;
      leases.set(spec.id, { endsAt, forgetAt: endsAt + forgetAfterMs });
      nodes.set(spec.id, { ...spec, late: false });
      scheduleSweep();
      if (!before || before.late || !sameSpec(before, spec)) changed();
    },

    beatProxy: async (beat, leaseMs) => {
      const beatAt = clock.now();
      proxies.set(beat.id, { beat, beatAt, endsAt: beatAt + leaseMs });
      scheduleSweep();
      tellProxies();
    },
    leaveProxy: async (id) => {
      if (proxies.delete(id)) tellProxies();
    },

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
    close: async () => {
      clearTimeout(sweeping);
      watcher = nobody;
    },
  };
}

/** No name of a pool has a space. */
function keyOf({ pool, clientId }: ClientKey): string {
  return `${pool} ${clientId}`;
}

/** Where devices are served, in the order in which they were last touched. */
function createPlaces(clock: Clock) {
  const places = new Map<string, { place: ClientPlace; endsAt: number }>();
  let last = 0;

  function put(key: string, place: ClientPlace, ttlMs: number): void {
    places.delete(key);
    places.set(key, { place, endsAt: clock.now() + ttlMs });
    for (const [oldest, { endsAt }] of places) {
      if (endsAt > clock.now() && places.size <= CLIENTS_MAX) return;
      places.delete(oldest);
    }
  }

  function recall(key: string): ClientPlace | undefined {
    const entry = places.get(key);
    return entry && entry.endsAt > clock.now() ? entry.place : undefined;
  }

  return {
    recall,
    claim(key: string, place: Omit<ClientPlace, 'epoch'>, ttlMs: number, lost = 0): number {
      if (lost > 0 && (recall(key)?.epoch ?? 0) > lost) return lost;
      const given = lost > 0 ? lost : last + 1;
      last = Math.max(last, given);
      put(key, { ...place, epoch: given }, ttlMs);
      return given;
    },
    move(key: string, { node, proxy }: Pick<ClientPlace, 'node' | 'proxy'>): void {
      const entry = places.get(key);
      if (entry?.place.proxy === proxy) entry.place = { ...entry.place, node };
    },
    renew(proxy: string, key: string, ttlMs: number): void {
      const place = recall(key);
      if (place?.proxy === proxy) put(key, place, ttlMs);
    },
  };
}

function sameSpec(a: BeatingNode, b: BeatingNode): boolean {
  return (
    a.url === b.url &&
    a.pool === b.pool &&
    a.weight === b.weight &&
    a.maxConnections === b.maxConnections &&
    a.probeUrl === b.probeUrl &&
    a.leaving === b.leaving
  );
}
