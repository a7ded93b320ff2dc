import type { AdminState, NodeSpec } from '../../nodes/node.ts';
import type { Ban } from '../../policy/admission/bans.ts';

/**
 * Membership: what the proxies of one cluster share. Every implementation passes `test/contract/store.ts`.
 *
 * The store holds nodes that were added at run time or registered themselves, what people decided about any node
 * (declared elsewhere or not), bans of devices, the heartbeats of proxies, where devices were served last, and the subscriptions of
 * persistent sessions whose devices are away.
 * It tells whole snapshots, not changes: whoever missed one is right again with the next.
 * When a write has resolved, the watcher of the proxy that wrote has been told of it.
 */
export interface MembershipStore {
  readonly kind: 'memory' | 'redis';
  /** Whether the store answers; the memory store always does. */
  isUp(): boolean;
  /**
   * Begins to tell. Resolves after the first snapshot, or when the store does not answer within its connect bound:
   * then it goes on trying by itself, and tells as soon as it can.
   */
  open(watcher: StoreWatcher): Promise<void>;

  /** @throws BreakwaterError NODE_EXISTS, STORE_UNAVAILABLE */
  addNode(spec: NodeSpec): Promise<void>;
  /** Forgets the node and what was decided about it; unknown ids are no error. @throws BreakwaterError STORE_UNAVAILABLE */
  removeNode(id: string): Promise<void>;
  /** Lays the given fields over what was decided before. @throws BreakwaterError STORE_UNAVAILABLE */
  decide(id: string, decision: Decision): Promise<void>;

  /**
   * Bans devices, in the place of a ban of the same id. Bans that are over give way to it.
   * @throws BreakwaterError BAN_LIMIT, STORE_UNAVAILABLE
   */
  ban(ban: Ban): Promise<void>;
  /** Takes a ban back; false where there is none of this id. @throws BreakwaterError STORE_UNAVAILABLE */
  unban(id: string): Promise<boolean>;

  /**
   * A node (source `self`) says that it lives: registers it if need be, and renews its lease. When the lease runs
   * out the node is `late`; after `forgetAfterMs` more it is removed. @throws BreakwaterError STORE_UNAVAILABLE
   */
  beatNode(spec: BeatingNode, leaseMs: number, forgetAfterMs: number): Promise<void>;
  /**
   * A node leaves in order: gone at once. What was decided about it stays, but that it drains: it has.
   * @throws BreakwaterError STORE_UNAVAILABLE
   */
  leaveNode(id: string): Promise<void>;

  /** A proxy says that it lives. It is gone from `proxies` when it has not done so for `leaseMs`. @throws STORE_UNAVAILABLE */
  beatProxy(beat: ProxyBeat, leaseMs: number): Promise<void>;
  /** A proxy leaves in order: gone at once. @throws BreakwaterError STORE_UNAVAILABLE */
  leaveProxy(id: string): Promise<void>;

  /** Where the device was served last; undefined when nobody remembers. @throws BreakwaterError STORE_UNAVAILABLE */
  recallClient(client: ClientKey): Promise<ClientPlace | undefined>;
  /**
   * A broker has accepted the device, through this proxy, at this node. Returns the claim's epoch, which grows with every
   * claim of this client: the newest is remembered. Watchers at other proxies are told. With `epoch`, that of an earlier
   * claim which the store has lost, the claim is as old as it was, and a newer one stays.
   * @throws BreakwaterError STORE_UNAVAILABLE
   */
  claimClient(
    client: ClientKey,
    place: Omit<ClientPlace, 'epoch'>,
    ttlMs: number,
    epoch?: number,
  ): Promise<number>;
  /**
   * The device's session is at another node now, and its claim as old as before: where another proxy has claimed the
   * device meanwhile, that stays. @throws BreakwaterError STORE_UNAVAILABLE
   */
  moveClient(client: ClientKey, place: ClientPlace): Promise<void>;
  /**
   * Keeps claims of this proxy that are still in use from expiring; others are left alone. Returns the clients that
   * nobody remembers: the store has lost them. @throws BreakwaterError STORE_UNAVAILABLE
   */
  renewClients(proxy: string, clients: readonly ClientKey[], ttlMs: number): Promise<readonly ClientKey[]>;

  /**
   * A connection of the device has a persistent session at the broker from now on. What was remembered of the session is
   * given to it, and to no other: the store forgets it. `in-use`: an earlier connection has the session, and may still give it back to
   * the store. This one alone may wait for that; when a third connection asks, nobody gets it.
   * @param connection unique over all proxies, and over their starts
   * @param former an earlier connection: if it waits for the session, or has it and nobody waits, this one has its place;
   *   else it has the session, and nobody gets what was remembered: `unknown`, `in-use` for `first`
   * @throws BreakwaterError STORE_UNAVAILABLE
   */
  takeSession(
    client: ClientKey,
    connection: string,
    how: TakeHow,
    former?: string,
  ): Promise<StoredSession | 'unknown' | 'in-use'>;
  /**
   * That connection has ended, and this is to be remembered of the session. False where a later connection has taken it:
   * then nothing is.
   * @throws BreakwaterError STORE_UNAVAILABLE
   */
  keepSession(client: ClientKey, connection: string, session: StoredSession, ttlMs: number): Promise<boolean>;

  /**
   * A text that all proxies share under this name: puts `next` where there is nothing yet, or exactly `before`. Resolves
   * with what is there then: `next`, or what another proxy was quicker to put. The memory store has no others.
   * @throws BreakwaterError STORE_UNAVAILABLE
   */
  share(name: string, next: string, before?: string): Promise<string>;

  /**
   * Asks the other proxies, or of them only `to`, and resolves with what was answered within `timeoutMs`. Questions and
   * answers are JSON of at most 1 MiB; what an answer holds is for the asker to check. The memory store has no others.
   * @throws BreakwaterError STORE_UNAVAILABLE, REQUEST_INVALID for a question that is larger
   */
  ask(question: unknown, timeoutMs: number, to?: string): Promise<Answers>;

  /** For the process after this one: what ends with this process, or what is known of a store that may be away then. */
  describe(): unknown;
  /**
   * Goes on from what an older process had. Of nodes, decisions and bans that is all, unless a store that proxies share has told of them already; of
   * the rest what is not known here. @throws BreakwaterError HANDOVER_INVALID
   */
  restore(state: unknown): void;

  close(): Promise<void>;
}

/** What the store reports to its proxy. */
export interface StoreWatcher {
  /** Nodes, decisions or bans changed. Also called after the store was away. */
  onMembership(membership: Membership): void;
  /** The proxies that live, this one included; told about once a second where there are several. */
  onProxies(proxies: readonly LivingProxy[]): void;
  /** Another proxy claimed a device. */
  onClaim(client: ClientKey, place: ClientPlace): void;
  /**
   * Another proxy asks, and nobody has looked at what; the answer is sent back. Of a rejection only that there is no answer.
   * Undefined: nothing is sent, because another process answers for this proxy.
   */
  onAsk(question: unknown): Promise<unknown> | undefined;
  /** Something in the store cannot be used, and is passed over. Told each time that it is read. */
  onSkipped(skipped: Skipped): void;
  /** The store stopped answering, or answers again. */
  onUp(up: boolean, cause: string | undefined): void;
}

/** What other proxies answered. */
export interface Answers {
  /** By the id of the proxy that gave it. */
  readonly given: ReadonlyMap<string, unknown>;
  /** Ids of those that live and gave none: they were late, or have none. */
  readonly missing: readonly string[];
}

/** Why something in the store cannot be used. */
export const skipReasons = [
  ...(['type', 'form', 'size', 'json', 'version', 'schema', 'unknown'] as const),
  ...(['unsigned', 'forged', 'replayed', 'unreadable'] as const),
] as const;
export type SkipReason = (typeof skipReasons)[number];

/** One thing in the store that cannot be used. */
export interface Skipped {
  /** A key, such as `nodes`, or a channel. */
  readonly key: string;
  /** Which of its records; empty for the whole key, and for messages. */
  readonly field: string;
  readonly reason: SkipReason;
  /** For people; it quotes no value. */
  readonly detail: string;
}

export interface Membership {
  readonly nodes: ReadonlyMap<string, StoredNode>;
  readonly decisions: ReadonlyMap<string, Decision>;
  /** By id; those too that are over. The same map as long as nothing of it changes, and the same value as long as that does not. */
  readonly bans: ReadonlyMap<string, Ban>;
}

/** What a self-registered node says of itself. */
export interface BeatingNode extends NodeSpec {
  /** It is about to leave, and takes no new device. */
  readonly leaving?: boolean;
}

export interface StoredNode extends BeatingNode {
  /** A self-registered node whose lease has run out: it missed heartbeats. */
  readonly late: boolean;
}

/** What a person decided about a node; it outlives restarts of the node, and overrides what was declared. */
export interface Decision {
  readonly state?: AdminState | undefined;
  readonly weight?: number | undefined;
  /** 0: no limit. */
  readonly maxConnections?: number | undefined;
  /** A declared or discovered node that was removed at run time; adding it again takes this back. */
  readonly removed?: boolean | undefined;
}

/** Node ids and counts, each id once. No object: an id may be a word such as `constructor`. */
export type CountsByNode = readonly (readonly [node: string, count: number])[];

/** One heartbeat of a proxy. */
export interface ProxyBeat {
  readonly id: string;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  readonly engine: string;
  readonly threads: number;
  readonly listeners: readonly string[];
  /** Devices connected to this proxy. */
  readonly connections: number;
  /** Live connections by node id; nodes without any are left out. */
  readonly nodeConnections: CountsByNode;
  /** RFC 3339. */
  readonly startedAt: string;
  /** Absent: of a version that knows only `enabled`. */
  readonly state?: ProxyState | undefined;
  /** Where devices reach its listeners themselves. */
  readonly advertised?: readonly AdvertisedListener[] | undefined;
}

/** `draining`: a person has taken it out. `starting` and `stopping` are its own doing. Only `enabled` ones take devices. */
export type ProxyState = 'starting' | 'enabled' | 'draining' | 'stopping';

export interface AdvertisedListener {
  readonly scheme: string;
  /** `host:port`. */
  readonly address: string;
}

export interface LivingProxy extends ProxyBeat {
  /** Seconds since its last heartbeat, by the store's clock. */
  readonly lastSeen: number;
}

/** A client id, which means something else in every pool. */
export interface ClientKey {
  readonly pool: string;
  readonly clientId: string;
}

/**
 * How a connection takes a session: `first`; `again`, if it was told that it is in use: `unknown`, and nothing has changed, where another
 * connection has come in between; `last` likewise, but the word of the earlier one is not waited for, and not taken if it comes;
 * `anyway`, whoever has it or waits for it.
 */
export type TakeHow = 'first' | 'again' | 'last' | 'anyway';

/** What is remembered of a persistent session while no connection has it. */
export interface StoredSession {
  /** Whose it is, as in `ClientPlace`. */
  readonly who: number;
  /** In base64, as sessions write and read them: at most `SUBSCRIPTIONS_MAX` characters. */
  readonly subscriptions: string;
}

/** Of a connection, so long is it remembered that it has a session; then a word of an earlier one would be taken again. */
export const SESSION_OWNER_MS = 86_400_000;

export interface ClientPlace {
  readonly node: string;
  readonly proxy: string;
  /** Which device it is, as far as anybody can know: a 32-bit integer. */
  readonly who: number;
  readonly epoch: number;
}
