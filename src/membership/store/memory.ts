/** The membership store of a proxy that stands alone. It is kept in memory and shares nothing. */

import { readHanded } from '../../base/read-handed.ts';
import { type Clock, systemClock } from '../../base/time.ts';
import type { NodeSpec } from '../../nodes/node.ts';
import { BANS_MAX, type Ban, isOver, tooManyBans } from '../../policy/admission/bans.ts';
import { MemoryNodes } from './memory-nodes.ts';
import { MemoryPlaces } from './memory-places.ts';
import { type MemoryState, memoryState } from './memory-state.ts';
import type {
  Answers,
  BeatingNode,
  ClientKey,
  ClientPlace,
  Decision,
  Membership,
  MembershipStore,
  ProxyBeat,
  StoredSession,
  StoreWatcher,
} from './store.ts';
import { createStoredSessions, type StoredBounds } from './stored-sessions.ts';

type Args<
  Name extends 'claimClient' | 'moveClient' | 'renewClients' | 'takeSession' | 'keepSession' | 'share',
> = Parameters<MembershipStore[Name]>;
type Watched = Pick<StoreWatcher, 'onMembership' | 'onProxies'>;
const nobody: Watched = { onMembership() {}, onProxies() {} };

/** Membership of one proxy that stands alone; it ends with the process. */
export class MemoryStore implements MembershipStore {
  readonly kind = 'memory';
  private readonly registry: LeaseKeeper;
  private readonly places: MemoryPlaces;
  private readonly sessions: ReturnType<typeof createStoredSessions>;
  private readonly shared = new Map<string, string>();

  /** @param bounds of the sessions of devices that are away */
  constructor(
    clock: Clock = systemClock,
    bounds: StoredBounds = { maxBytes: () => Number.POSITIVE_INFINITY, onForgotten() {} },
  ) {
    this.registry = new LeaseKeeper(clock);
    this.places = new MemoryPlaces(clock);
    this.sessions = createStoredSessions(clock, bounds);
  }

  isUp(): boolean {
    return true;
  }

  async open(watcher: StoreWatcher): Promise<void> {
    this.registry.open(watcher);
  }

  async addNode(spec: NodeSpec): Promise<void> {
    this.registry.nodes.add(spec);
    this.registry.changed();
  }

  async removeNode(id: string): Promise<void> {
    this.registry.nodes.remove(id);
    this.registry.changed();
  }

  async decide(id: string, decision: Decision): Promise<void> {
    this.registry.nodes.decide(id, decision);
    this.registry.changed();
  }

  async leaveNode(id: string): Promise<void> {
    if (this.registry.nodes.leave(id)) this.registry.changed();
  }

  async ban(ban: Ban): Promise<void> {
    const { registry } = this;
    const others = [...registry.bans.values()].filter(
      (each) => each.id !== ban.id && !isOver(each, Date.now()),
    );
    if (others.length >= BANS_MAX) throw tooManyBans();
    registry.setBans([...others, ban]);
  }

  async unban(id: string): Promise<boolean> {
    const { registry } = this;
    if (!registry.bans.has(id)) return false;
    registry.setBans([...registry.bans.values()].filter((ban) => ban.id !== id));
    return true;
  }

  async beatNode(spec: BeatingNode, leaseMs: number, forgetAfterMs: number): Promise<void> {
    const isNews = this.registry.nodes.beat(spec, leaseMs, forgetAfterMs);
    this.registry.schedule();
    if (isNews) this.registry.changed();
  }

  async beatProxy(beat: ProxyBeat, leaseMs: number): Promise<void> {
    this.registry.beatProxy(beat, leaseMs);
  }

  async leaveProxy(id: string): Promise<void> {
    this.registry.leaveProxy(id);
  }

  async recallClient(client: ClientKey): Promise<ClientPlace | undefined> {
    return this.places.recall(keyOf(client));
  }

  async claimClient(...[client, place, ttlMs, epoch]: Args<'claimClient'>): Promise<number> {
    return this.places.claim(keyOf(client), place, ttlMs, epoch);
  }

  async moveClient(...[client, place]: Args<'moveClient'>): Promise<void> {
    this.places.move(keyOf(client), place);
  }

  async renewClients(...[proxy, clients, ttlMs]: Args<'renewClients'>): Promise<readonly ClientKey[]> {
    for (const client of clients) this.places.renew(proxy, keyOf(client), ttlMs);
    return clients.filter((client) => this.places.recall(keyOf(client)) === undefined);
  }

  async takeSession(...[client, ...how]: Args<'takeSession'>): Promise<StoredSession | 'unknown' | 'in-use'> {
    return this.sessions.take(keyOf(client), ...how);
  }

  async keepSession(...[client, connection, session, ttlMs]: Args<'keepSession'>): Promise<boolean> {
    return this.sessions.keep(keyOf(client), connection, session, ttlMs);
  }

  async share(...[name, next, before]: Args<'share'>): Promise<string> {
    const there = this.shared.get(name);
    if (there !== undefined && there !== before) return there;
    this.shared.set(name, next);
    return next;
  }

  async ask(): Promise<Answers> {
    return { given: new Map(), missing: [] };
  }

  describe(): MemoryState {
    const { registry, places, sessions, shared } = this;
    return {
      ...{ nodes: registry.nodes.describe(), places: places.describe(), sessions: sessions.describe() },
      ...{ bans: [...registry.bans.values()], shared: [...shared] },
    };
  }

  restore(described: unknown): void {
    const { registry, places, sessions, shared } = this;
    const state = readHanded(memoryState, described, 'the memory store');
    registry.nodes.restore(state.nodes);
    registry.setBans(state.bans);
    places.restore(state.places);
    sessions.restore(state.sessions);
    for (const [name, text] of state.shared) if (!shared.has(name)) shared.set(name, text);
    registry.schedule();
  }

  async close(): Promise<void> {
    this.registry.close();
  }
}

/** Nodes and proxies whose leases run out in time. It has the one timer for both, and reports changes, also those of bans. */
class LeaseKeeper {
  readonly nodes: MemoryNodes;
  bans: Membership['bans'] = new Map();
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
    this.watcher.onMembership({ ...this.nodes.membership(), bans: this.bans });
  }

  setBans(bans: readonly Ban[]): void {
    this.bans = new Map(bans.map((ban) => [ban.id, ban]));
    this.changed();
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
