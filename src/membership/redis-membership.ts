import type { RedisKeys } from './redis-keys.ts';
import type { RunScript } from './redis-link.ts';
import { type Script, scripts } from './redis-scripts.ts';
import type { BeatingNode, Decision, LivingProxy, Membership, ProxyBeat, StoredNode } from './store.ts';

/** Records as Redis keeps them, by id; see `redis-keys.ts`. */
type Records = ReadonlyMap<string, string>;

/** What a sync sends to its own inbox: while it comes back, the messages of others arrive too. */
export const PULSE = 'pulse';

/** Now, whether the known version is lost, proxies; and where there is news: its version, nodes, decisions, leases. */
type SyncReply = [number, 0 | 1, string[], number?, ...string[][]];

interface Known {
  readonly version: number;
  readonly nodes: Records;
  readonly decisions: Records;
  readonly leases: Records;
}

/** What is told of one sync. */
export interface Synced {
  /** Whether nodes or decisions changed. */
  readonly isNews: boolean;
  readonly proxies: readonly LivingProxy[];
}

export interface SharedMembership {
  /** Brings what is known here and what Redis holds together. */
  sync(): Promise<Synced>;
  /** As it was known last. */
  membership(): Membership;
  /** The present time of Redis's clock, in milliseconds, as far as it is known here. */
  storeNow(): number;
}

/**
 * The copy of the membership that this proxy knows, which is also what repairs Redis.
 *
 * Decision: a Redis that comes back empty, from an old backup, or as a replica that lacked the last writes must not
 * make nodes vanish from all proxies at once: devices would lose their brokers over a restart of a cache. The proxies
 * that live hold the newer truth, so the first that notices puts back what it knows, and those that know more lay it
 * over. Hence FLUSHALL does not reset a cluster: nodes are removed by `node remove`, or after all its proxies stopped.
 */
export function shareMembership(
  keys: RedisKeys,
  run: RunScript,
  /** Longest pause between two syncs of all proxies together that still counts against leases. */
  pauseMs: number,
  now: () => number,
): SharedMembership {
  let known: Known = { version: 0, nodes: new Map(), decisions: new Map(), leases: new Map() };
  let membership: Membership = { nodes: new Map(), decisions: new Map() };
  let proxies: Records = new Map();
  let clockAhead = 0; // of Redis's clock to ours

  const ask = (script: Script, ...args: (string | number)[]): Promise<unknown> =>
    run(script, keys.membership, [0, keys.changes, ...args]);

  /** @returns whether Redis has lost what is known here */
  async function fetch(): Promise<boolean> {
    const reply = await ask(scripts.sync, pauseMs, keys.inbox, PULSE, known.version);
    const [storeNow, lost, living, version, ...parts] = reply as SyncReply;
    clockAhead = storeNow - now();
    if (lost === 1) return true;
    proxies = records(living);
    if (version === undefined) return false;
    const [nodes, decisions, leases] = [records(parts[0]), records(parts[1]), records(parts[2])];
    membership = membershipOf(nodes, decisions, leases);
    known = { version, nodes, decisions, leases };
    return false;
  }

  async function restore(): Promise<void> {
    const { version, nodes, decisions, leases } = known;
    const [ofNodes, ofDecisions, ofLeases, ofProxies] = [nodes, decisions, leases, proxies].map((records) =>
      Object.fromEntries(records),
    );
    const all = { nodes: ofNodes, decisions: ofDecisions, leases: ofLeases, proxies: ofProxies };
    await ask(scripts.restore, version, JSON.stringify(all));
  }

  return {
    membership: () => membership,
    storeNow: () => now() + clockAhead,
    async sync() {
      const before = known.version;
      if (await fetch()) {
        await restore();
        if (await fetch()) throw new Error('it lost what it was given back a moment ago');
      }
      return {
        isNews: known.version !== before,
        proxies: Array.from(proxies, ([id, record]) => proxyOf(id, record, now() + clockAhead)),
      };
    },
  };
}

function membershipOf(nodes: Records, decisions: Records, leases: Records): Membership {
  return {
    nodes: new Map(
      Array.from(nodes, ([id, record]): [string, StoredNode] => [
        id,
        { ...parsed<BeatingNode>('nodes', id, record, 1), late: leases.get(id)?.endsWith(' 1') ?? false },
      ]),
    ),
    decisions: new Map(
      Array.from(decisions, ([id, record]) => [id, parsed<Decision>('decisions', id, record, 1)]),
    ),
  };
}

function proxyOf(id: string, record: string, storeNow: number): LivingProxy {
  const beatAt = Number(record.split(' ', 3)[2]);
  const beat = parsed<ProxyBeat>('proxies', id, record, 4);
  return { ...beat, lastSeen: Math.max(0, storeNow - beatAt) / 1000 };
}

/** The JSON after so many words. A record that cannot be read is somebody else's: that is said, not passed over. */
function parsed<T>(key: string, id: string, record: string, words: number): T {
  const json = record.replace(new RegExp(`^(?:\\d+ ){${words}}`), '');
  try {
    return JSON.parse(json) as T;
  } catch {
    throw new Error(`record ${JSON.stringify(id)} of key ${key} is not Breakwater's; remove it there (HDEL)`);
  }
}

function records(flat: readonly string[] = []): Records {
  const found = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) found.set(flat[i] as string, flat[i + 1] as string);
  return found;
}
