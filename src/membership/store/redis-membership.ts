import { z } from 'zod';
import type { Codec } from './codec.ts';
import { isNodeId } from './records.ts';
import { SharedBans } from './redis-bans.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RunScript } from './redis-link.ts';
import { membershipScripts as scripts } from './redis-membership-scripts.ts';
import type { Script } from './redis-script.ts';
import type { RedisState } from './redis-state.ts';
import {
  type Decision,
  type LivingProxy,
  type Membership,
  type SkipReason,
  type StoredNode,
  skipReasons,
} from './store.ts';

/** Records as Redis keeps them, by id; see `redis-keys.ts`. */
type Records = ReadonlyMap<string, string>;

/** What a sync sends to its own inbox: while it comes back, the messages of others arrive too. */
export const PULSE = 'pulse';

const flat = z.array(z.string());
/**
 * Now, whether the known version is lost, proxies, what was skipped (key, field, reason) and how much; and where there is
 * news: its version, nodes, decisions, leases, and bans if they changed.
 */
const syncReply = z.union([
  z.tuple([z.int(), z.literal([0, 1]), flat, flat, z.int()]),
  z.tuple([z.int(), z.literal([0, 1]), flat, flat, z.int(), z.int(), flat, flat, flat]),
  z.tuple([z.int(), z.literal([0, 1]), flat, flat, z.int(), z.int(), flat, flat, flat, flat]),
]);

interface Known {
  readonly version: number;
  readonly nodes: Records;
  readonly decisions: Records;
  readonly leases: Records;
}

/** What one sync has brought. */
export interface Synced {
  /** Whether nodes, decisions or bans changed. */
  readonly isNews: boolean;
  readonly proxies: readonly LivingProxy[];
}

/** A record that is believed for now. */
interface Outdated {
  readonly key: 'nodes' | 'decisions' | 'bans';
  readonly id: string;
  readonly record: string;
  readonly value: object;
}

interface SharedMembershipOptions {
  readonly keys: RedisKeys;
  readonly codec: Codec;
  readonly run: RunScript;
  /** Longest pause between two syncs of all proxies together that still counts against leases. */
  readonly pauseMs: number;
  /** The time here, in milliseconds. */
  readonly now: () => number;
}

const nobody: Records = new Map();

/** Somebody may write at the same time; what a Redis loses more often than so it will not keep. */
const MOST_RESTORES = 3;

/**
 * The copy of the membership that this proxy knows, which is also what repairs Redis.
 *
 * Decision: a Redis that comes back empty, from an old backup, or as a replica that lacked the last writes must not
 * make nodes vanish from all proxies at once: devices would lose their brokers over a restart of a cache. The proxies
 * that live hold the newer truth, so the first that notices puts back what it knows, and those that know more lay it
 * over. Hence FLUSHALL does not reset a cluster: nodes are removed by `node remove`, or after all its proxies stopped.
 * Only what this proxy can use is in its copy: a bad record is never given back.
 */
export class SharedMembership {
  private readonly options: SharedMembershipOptions;
  private known: Known = { version: 0, nodes: nobody, decisions: nobody, leases: nobody };
  private present: Omit<Membership, 'bans'> = { nodes: new Map(), decisions: new Map() };
  readonly bans: SharedBans;
  private unusableNodes: Records = nobody;
  private proxies: Records = nobody;
  private unusableProxies: Records = nobody;
  private living: readonly LivingProxy[] = [];
  /** Of Redis's clock to ours, in milliseconds. */
  private clockAhead = 0;
  /** What is known is what another process has read: this one reads all of it once, as soon as Redis has what was known. */
  private isInherited = false;

  constructor(options: SharedMembershipOptions) {
    this.options = options;
    this.bans = new SharedBans(options.codec);
  }

  /** As it was known last. */
  membership(): Membership {
    return { ...this.present, bans: this.bans.bans };
  }

  /** Of what is known. */
  version(): number {
    return this.known.version;
  }

  /** A node's record that Redis has, and nobody here can use; empty for none. */
  unusable(nodeId: string): string {
    return this.unusableNodes.get(nodeId) ?? '';
  }

  /** Whether Redis has a record of this proxy that nobody here can use: then there may be no such proxy. */
  isUnusableProxy(proxyId: string): boolean {
    return this.unusableProxies.has(proxyId);
  }

  /** The record of what was decided about a node, as it was known last; empty for none. */
  decisionRecord(nodeId: string): string {
    return this.known.decisions.get(nodeId) ?? '';
  }

  /** The present time of Redis's clock, in milliseconds, as far as it is known here. */
  storeNow(): number {
    return this.options.now() + this.clockAhead;
  }

  /** Brings what is known here and what Redis holds together. */
  async sync(): Promise<Synced> {
    const before = this.known.version;
    for (let restores = 0; await this.fetch(); restores++) {
      if (restores === MOST_RESTORES) throw new Error('it loses again and again what it is given back');
      await this.restore();
    }
    if (this.isInherited) await this.readAll();
    return { isNews: this.known.version !== before, proxies: this.living };
  }

  /** This process may have other secrets than the one that has read it: it may be able to use what that could not. */
  private async readAll(): Promise<void> {
    this.known = { ...this.known, version: 0 };
    await this.fetch();
    this.isInherited = false;
  }

  describe(): RedisState {
    const { version, nodes, decisions, leases } = this.known;
    return {
      ...{ version, nodes: [...nodes], decisions: [...decisions], leases: [...leases] },
      bans: [...this.bans.records()],
    };
  }

  /** Goes on from what the process before this one knew, until Redis says itself what there is. */
  inherit({ version, nodes, decisions, leases, bans }: RedisState): void {
    this.read(version, new Map(nodes), new Map(decisions), new Map(leases));
    this.bans.read(new Map(bans));
    this.isInherited = true;
  }

  /** What such a record says; undefined where it cannot be used. */
  decisionOf(id: string, record: string): Decision | undefined {
    const { codec } = this.options;
    const place = { key: 'decisions', field: id };
    if (isNodeId(id)) return codec.read('decision', textOf(record, 1), place);
    codec.skip(place, 'schema', 'its name is no id of a node');
    return undefined;
  }

  /**
   * Records that should be written anew, because they are not signed with the present secret. Nodes with a lease are
   * not among them: they sign themselves, with each heartbeat.
   */
  outdated(): readonly Outdated[] {
    const { codec } = this.options;
    const found: Outdated[] = [];
    for (const [id, record] of this.known.nodes) {
      const node = this.present.nodes.get(id);
      if (node === undefined || this.known.leases.has(id)) continue;
      if (!codec.isOutdated('node', textOf(record, 1), id)) continue;
      const { late: _, ...value } = node;
      found.push({ key: 'nodes', id, record, value });
    }
    for (const [id, record] of this.known.decisions) {
      const value = this.present.decisions.get(id);
      if (value !== undefined && codec.isOutdated('decision', textOf(record, 1), id))
        found.push({ key: 'decisions', id, record, value });
    }
    return [...found, ...this.bans.outdated()];
  }

  private ask(script: Script, ...args: (string | number)[]): Promise<unknown> {
    const { keys, run } = this.options;
    return run(script, keys.membership, [0, keys.changes, ...args]);
  }

  /** @returns whether Redis has lost what is known here */
  private async fetch(): Promise<boolean> {
    const { keys, pauseMs, now } = this.options;
    const reply = await this.ask(scripts.sync, pauseMs, keys.inbox, PULSE, this.known.version);
    const parsed = syncReply.safeParse(reply);
    if (!parsed.success) throw new Error('it answers a sync with something else');
    const [storeNow, lost, beats, skipped, skippedCount, version, ...parts] = parsed.data;
    this.clockAhead = storeNow - now();
    this.reportSkipped(skipped, skippedCount);
    if (lost === 1) return true;
    this.readProxies(records(beats), storeNow);
    if (version === undefined) return false;
    const [nodes = nobody, decisions = nobody, leases = nobody, bans] = parts.map(records);
    this.read(version, nodes, decisions, leases);
    if (bans !== undefined) this.bans.read(bans);
    return false;
  }

  private async restore(): Promise<void> {
    const { version, nodes, decisions, leases } = this.known;
    const bans = this.bans.records();
    const given = Object.entries({ nodes, decisions, bans, leases, proxies: this.proxies });
    const byName = given.map(([name, all]) => [name, Object.fromEntries(all)] as const);
    await this.ask(scripts.restore, version, JSON.stringify(Object.fromEntries(byName)));
  }

  private read(version: number, nodes: Records, decisions: Records, leases: Records): void {
    const { codec } = this.options;
    const storedNodes = new Map<string, StoredNode>();
    for (const [id, record] of nodes) {
      const node = codec.read('node', textOf(record, 1), { key: 'nodes', field: id });
      if (node?.id === id) storedNodes.set(id, { ...node, late: leases.get(id)?.endsWith(' 1') ?? false });
      else if (node !== undefined) codec.skip({ key: 'nodes', field: id }, 'schema', 'it is of another id');
    }
    const decided = new Map<string, Decision>();
    for (const [id, record] of decisions) {
      const decision = this.decisionOf(id, record);
      if (decision !== undefined) decided.set(id, decision);
    }
    this.present = { nodes: storedNodes, decisions: decided };
    this.unusableNodes = without(nodes, storedNodes);
    this.known = {
      version,
      nodes: of(nodes, storedNodes),
      decisions: of(decisions, decided),
      leases: of(leases, storedNodes),
    };
  }

  private readProxies(beats: Records, storeNow: number): void {
    const { codec } = this.options;
    const usable = new Map<string, LivingProxy>();
    for (const [id, record] of beats) {
      const beat = codec.read('proxy', textOf(record, 4), { key: 'proxies', field: id });
      const beatAt = Number(record.split(' ', 3)[2]);
      if (beat?.id === id) usable.set(id, { ...beat, lastSeen: Math.max(0, storeNow - beatAt) / 1000 });
      else if (beat !== undefined) codec.skip({ key: 'proxies', field: id }, 'schema', 'it is of another id');
    }
    this.proxies = of(beats, usable);
    this.unusableProxies = without(beats, usable);
    this.living = [...usable.values()];
  }

  /** What Redis's script itself has found, of which it names only the first. */
  private reportSkipped(named: readonly string[], count: number): void {
    const { codec } = this.options;
    for (let i = 0; i + 2 < named.length; i += 3) {
      const [key = '', field = '', reason] = named.slice(i, i + 3);
      const known = skipReasons.find((each) => each === reason) ?? 'form';
      codec.skip({ key, field }, known, details[known] ?? '');
    }
    const rest = count - Math.floor(named.length / 3);
    if (rest > 0) codec.skip({ key: 'records', field: '' }, 'form', `${rest} more at one time`);
  }
}

const details: Partial<Record<SkipReason, string>> = {
  type: 'the key is of another type, and was deleted',
  form: 'it has not the form of a record',
  size: 'it is too large, or one too many',
};

/** What stands behind so many numbers. */
function textOf(record: string, numbers: number): string {
  let at = 0;
  for (let i = 0; i < numbers; i++) at = record.indexOf(' ', at) + 1;
  return record.slice(at);
}

function records(pairs: readonly string[]): Records {
  const all = new Map<string, string>();
  for (let i = 0; i + 1 < pairs.length; i += 2) all.set(pairs[i] as string, pairs[i + 1] as string);
  return all;
}

function of(all: Records, usable: ReadonlyMap<string, unknown>): Records {
  return new Map([...all].filter(([id]) => usable.has(id)));
}

function without(all: Records, usable: ReadonlyMap<string, unknown>): Records {
  return new Map([...all].filter(([id]) => !usable.has(id)));
}
