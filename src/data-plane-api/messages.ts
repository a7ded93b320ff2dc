import type { LimitsConfig, ListenerLimits, PoolConfig, RuleConfig } from '../config/config.ts';
import type { DialFailure, EndReason, MigrationResult, MoveCause } from '../connection/connection-host.ts';
import type { Evidence } from '../connection/evidence.ts';
import type { UpgradeTerms } from '../connection/websocket/upgrade.ts';
import type { PeerTls } from '../connection/wire.ts';
import type { BoundAddress, EngineName, ListenOptions } from '../engine/engine.ts';
import type { TlsOptions, UpstreamTls } from '../engine/tls.ts';
import type { Ban, BanChange } from '../policy/admission/bans.ts';
import type { LimiterMemory } from '../policy/admission/connection-limiter.ts';
import type { ReconnectThrottleMemory } from '../policy/admission/reconnect-throttle.ts';
import type { HeaderRefusal } from '../protocol/proxy-protocol/expect.ts';
import type { Suspect } from '../session/index.ts';
import type { DepartureOrder } from './departure.ts';
import type { DeviceOrder, Whom } from './device-order.ts';
import type { HandOverCommand, HandOverReport } from './hand-over-messages.ts';
import type { TraceAnswer, TraceOrder } from './trace.ts';

/**
 * What is said between the main thread and a worker; all of it is structured-cloneable. `WorkerStart` is given once, as the
 * worker's data. `Command` goes to the worker: one with a `request` is answered by the `Report` of that number, or by `failed`.
 * `Report` comes from the worker; `events` brings `WorkerEvent`s in batches, which nobody answers but by a command where it says so.
 */

/** Everything that a worker needs to begin. */
export interface WorkerStart {
  readonly thread: number;
  readonly threads: number;
  /** How many workers the table has room for. */
  readonly tableThreads: number;
  readonly table: SharedArrayBuffer;
  /** What all workers count connections in, by source and listener. */
  readonly limiter: LimiterMemory;
  readonly reconnectThrottle: ReconnectThrottleMemory;
  readonly bans: readonly Ban[];
  readonly engine: EngineName;
  /** Taken where that cannot be made; undefined: then the thread ends. */
  readonly spareEngine: EngineName | undefined;
  /** Where the thread notes the descriptors that its end would leave open. */
  readonly descriptors: Uint8Array | undefined;
  readonly settings: WorkerSettings;
}

export interface ListenerSettings extends ListenOptions {
  /** As configured, for rules. */
  readonly url: string;
  /** Number of the pool that takes what no rule decides. */
  readonly pool: number;
  readonly mode: 'relay' | 'session';
  /** Instead of those in `LimitsConfig.limiter`. */
  readonly limits?: ListenerLimits | undefined;
  /** `host:port` of servers that devices are told to go to instead. */
  readonly neighbours?: readonly string[] | undefined;
  /** HTTP: proxies whose word on the device is taken. */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Absent: MQTT. Any protocol, or TLS that passes through; the bytes are carried as they are. */
  readonly opaque?: 'tcp' | 'tls' | undefined;
  /** Absent: devices speak plain MQTT. */
  readonly websocket?: UpgradeTerms | undefined;
}

/** The settings of a worker, as the configuration has them. */
export interface WorkerSettings {
  readonly limits: LimitsConfig;
  /** A pool's index here is its number in the routing table; undefined where the pool of that number is gone. */
  readonly pools: readonly (PoolConfig | undefined)[];
  /** How nodes are reached by TLS, by the numbers of their pools; undefined: the engine's defaults. */
  readonly upstreamTls: readonly (UpstreamTls | undefined)[];
  readonly rules: readonly RuleConfig[];
  /** The longest that a connect waits for what is remembered of its device. */
  readonly recallTimeoutMs: number;
  /** Some listener follows sessions, so what is remembered of sessions must be kept up to date. */
  readonly followsSessions: boolean;
  /** Other proxies share the membership store: they hear which devices are served here. */
  readonly isShared: boolean;
  /** Each HTTP request is reported, for the access log. */
  readonly tellsRequests?: boolean | undefined;
}

/** A connection that the broker has accepted. */
export interface Accepted {
  /** Name of the pool. */
  readonly pool: string;
  readonly clientId: string;
  /** Which device it is, as far as anybody can know: see `identityOf`. */
  readonly who: number;
  /** By the clock that all threads share. */
  readonly sinceMs: number;
}

/** A session, and the connection that has it. */
interface Owned {
  /** Name of the pool. */
  readonly pool: string;
  readonly clientId: string;
  /** As in `Accepted`. */
  readonly who: number;
  /** Number of the connection. */
  readonly connection: number;
}

/** A served connection, as `client list` shows it. */
export interface ClientRecord {
  /** Of its own in its proxy. */
  readonly connection: number;
  readonly clientId: string;
  readonly node: string;
  readonly listener: number;
  readonly remoteAddress: string;
  readonly protocolVersion: 3 | 4 | 5;
  readonly keepAlive: number;
  readonly mode: 'relay' | 'session';
  readonly reattachments: number;
  /** Session mode, and only where one device is asked for. */
  readonly session?: SessionRecord | undefined;
  /** Where the device came by TLS, and likewise. */
  readonly tls?: PeerTls | undefined;
  /** Milliseconds that it has been served. */
  readonly ageMs: number;
}

/** What `client inspect` shows of a session. */
export interface SessionRecord {
  readonly subscriptions: number;
  /** Packets that the device waits for, and messages that it has not finished with. */
  readonly inflightFromDevice: number;
  readonly inflightToDevice: number;
  readonly rememberedBytes: number;
  /** A node has it; false while another one is sought. */
  readonly served: boolean;
  /** Why it cannot be moved now, if it cannot. */
  readonly immovable: string | undefined;
  /** The last ones, newest last. */
  readonly history: readonly (Omit<MigrationResult, 'atMs'> & { readonly agoMs: number })[];
}

export interface ClientFilter {
  readonly whom?: Whom | undefined;
  readonly node?: string | undefined;
  /** Part of the client id. */
  readonly match?: string | undefined;
  /** Only connections of greater numbers. */
  readonly after?: number | undefined;
  readonly limit: number;
}

/** The result of an order to move sessions, in numbers of sessions. */
export interface MoveTally {
  /** Under way. */
  readonly moving: number;
  /** Cannot be moved just now. */
  readonly later: number;
  /** Cannot be moved at all, or (relay mode) not by us. */
  readonly stuck: number;
  /** Cannot be moved at all, and were disconnected so that they find another node. */
  readonly ended: number;
  /** No node would take them. */
  readonly noNode: number;
}

export interface ClientAnswer {
  /** By their numbers. */
  readonly clients: readonly ClientRecord[];
  /** All that match. */
  readonly total: number;
  /** Of these, those with numbers behind `after`. */
  readonly behind: number;
}

/** The verdict of the main thread on one node, as of a moment on the clock that all workers share. */
export interface Verdict {
  readonly node: string;
  /** Undefined: the node lived then. */
  readonly evidence: Evidence | undefined;
  readonly asOfMs: number;
}

export type Command =
  | HandOverCommand
  /** Answered by `listening` or `failed`: all are bound, or none. */
  | { readonly type: 'listen'; readonly request: number; readonly listeners: readonly ListenerSettings[] }
  /** Answered by `done`. */
  | { readonly type: 'unlisten'; readonly request: number; readonly listeners: readonly number[] }
  /** From then on these; `listeners` are those that are bound. Answered by `done`. */
  | {
      readonly type: 'settings';
      readonly request: number;
      readonly settings: WorkerSettings;
      readonly listeners: readonly ListenerSettings[];
    }
  /** Stop accepting. Who is connected stays; shared memory says when the last has left. */
  | { readonly type: 'stop' }
  /** Ends the devices of a listener, or without `listener` those of all. */
  | { readonly type: 'endAll'; readonly reason: EndReason; readonly listener?: number }
  /** Lets devices leave, as `data-plane/departures.ts` says. Answered by `dismissed`. */
  | ({ readonly type: 'dismiss'; readonly request: number } & DepartureOrder)
  /** Resets whoever is left, and ends the worker. */
  | { readonly type: 'close' }
  /** Answered by `done`, behind all events of what was in this thread's sockets when it was asked. */
  | { readonly type: 'settle'; readonly request: number }
  /** Whether each placed and each ended connection is reported. */
  | { readonly type: 'verbose'; readonly on: boolean }
  /** Answered by `clients`. */
  | { readonly type: 'clients'; readonly request: number; readonly filter: ClientFilter }
  /** Answers `recall`: where the device was served last. */
  | { readonly type: 'recalled'; readonly request: number; readonly node: string | undefined }
  /** Answers `session-opened` of a connection, where something is remembered of its session. */
  | { readonly type: 'session-recalled'; readonly connection: number; readonly subscriptions: string }
  /** Looks whether the nodes of the sessions still answer. */
  | { readonly type: 'watch' }
  /** Whether a node is gone, of which links were lost. */
  | { readonly type: 'verdict'; readonly verdict: Verdict }
  /** The broker has accepted a newer connection than those of this thread until `sinceMs`, at another thread or proxy. */
  | ({ readonly type: 'superseded' } & Accepted)
  /** Moves sessions away from a node, at most `count`. Answered by `moved`. */
  | {
      readonly type: 'moveSome';
      readonly request: number;
      readonly node: string;
      readonly count: number;
      readonly cause: MoveCause;
      readonly to: string | undefined;
    }
  /** Answered by `traced`. */
  | { readonly type: 'trace'; readonly request: number; readonly order: TraceOrder }
  /** Bans come and go; some end connections too. */
  | ({ readonly type: 'bans' } & BanChange)
  /** Answered by `kicked`, or by `moved` once the moves have begun. */
  | (DeviceOrder & { readonly request: number })
  /** Answered by `tlsUpdated`. */
  | {
      readonly type: 'updateTls';
      readonly request: number;
      readonly listener: number;
      readonly tls: TlsOptions;
    };

export type WorkerEvent =
  | {
      readonly type: 'placed';
      readonly clientId: string;
      readonly connection: number;
      readonly node: string;
      readonly listener: number;
      readonly remoteAddress: string;
      /** Absent where it is not MQTT. */
      readonly protocolVersion: 3 | 4 | 5 | undefined;
    }
  | {
      readonly type: 'ended';
      readonly clientId: string;
      readonly connection: number;
      readonly node: string;
      readonly listener: number;
      readonly remoteAddress: string;
      readonly reason: EndReason;
      readonly durationMs: number;
      readonly bytesFromDevice: number;
      readonly bytesToDevice: number;
    }
  | {
      readonly type: 'reattached';
      readonly clientId: string;
      readonly connection: number;
      readonly remoteAddress: string;
      readonly reattachment: MigrationResult;
      readonly connackMs: number;
    }
  /** A connection of this thread is the newest of its client id and pool, and has ended. */
  | ({ readonly type: 'owned' } & Accepted)
  | { readonly type: 'disowned'; readonly pool: string; readonly clientId: string }
  | {
      readonly type: 'rejected';
      readonly reason: string;
      readonly clientId: string | undefined;
      readonly listener: number;
      readonly remoteAddress: string;
    }
  /** A connection was reset for its PROXY protocol header; `more` such connections came since the last report. */
  | {
      readonly type: 'header-refused';
      readonly listener: number;
      readonly refusal: HeaderRefusal;
      readonly remoteAddress: string;
      readonly more: number;
    }
  /**
   * The worker accepts nothing for a moment; `reason` is an errno name. `more` such pauses came since the last
   * report.
   */
  | { readonly type: 'accept-paused'; readonly reason: string; readonly more: number }
  | {
      readonly type: 'dial-failed';
      readonly node: string;
      readonly failure: DialFailure;
      readonly detail: string;
    }
  /** A device of a pool with persistence by client id asks where it was served last; answered by the command `recalled`. */
  | { readonly type: 'recall'; readonly request: number; readonly pool: string; readonly clientId: string }
  /** The broker has accepted a device of such a pool, or of a cluster of proxies; and it is no longer served. */
  | ({ readonly type: 'claimed'; readonly node: string; readonly ttlMs: number } & Accepted)
  | { readonly type: 'released'; readonly pool: string; readonly clientId: string }
  /**
   * A connection has a session at the broker that outlives it. `isResumed`: the session is older than the connection, and
   * what is remembered of it is asked for; answered by the command `session-recalled`, if anything is.
   */
  | ({ readonly type: 'session-opened'; readonly isResumed: boolean } & Owned)
  /**
   * The connection ends, and this is to be remembered of the session for so long; undefined: nothing.
   * `unsubscribed`: the answer has not come, and these are only the changes.
   */
  | ({
      readonly type: 'session-left';
      readonly subscriptions: string | undefined;
      readonly unsubscribed: string | undefined;
      readonly ttlMs: number;
    } & Owned)
  /** The broker has accepted newer connections of these client ids: links that they lose are no node's fault. Numbers as in `link-lost`. */
  | { readonly type: 'taken-over'; readonly clients: readonly number[] }
  /** Such a device's session is at another node. */
  | ({ readonly type: 'claim-moved'; readonly node: string } & Omit<Accepted, 'who'>)
  /** Two nodes died of this packet of a device, which was disconnected. */
  | {
      readonly type: 'convicted';
      readonly clientId: string;
      readonly remoteAddress: string;
      readonly suspect: Suspect;
    }
  /** At least one dial since the last batch succeeded. */
  | { readonly type: 'dialled'; readonly node: string }
  /** HTTP requests since the last such event that were answered with this status. */
  | {
      readonly type: 'requests';
      readonly listener: number;
      readonly status: number;
      readonly count: number;
    }
  | {
      readonly type: 'requested';
      readonly listener: number;
      readonly remoteAddress: string;
      readonly method: string;
      readonly host: string;
      /** Without its query, which may hold secrets. */
      readonly path: string;
      readonly status: number;
      readonly node: string | undefined;
      readonly durationMs: number;
    }
  /**
   * Links of served connections to this node ended by themselves. `askedAtMs`: sessions wait to hear whether the
   * node is gone, the last of them since then; answered by the command `verdict`.
   */
  | {
      readonly type: 'link-lost';
      readonly node: string;
      /** Numbers that tell client ids apart, one a link. */
      readonly devices: readonly number[];
      /** Links that the node had, of all threads, before the first of these ended. */
      readonly had: number;
      /** On the clock that all threads share. */
      readonly askedAtMs: number | undefined;
    };

/** An exception of ours, and what it ended. */
export interface Fault {
  /** What failed: `a connection`, which was reset, or such as `command watch`, which ended nobody. */
  readonly where: string;
  readonly message: string;
  readonly stack: string | undefined;
}

export type Report =
  | HandOverReport
  | { readonly type: 'ready'; readonly wakeFd: number | undefined }
  | { readonly type: 'listening'; readonly request: number; readonly addresses: readonly BoundAddress[] }
  | {
      readonly type: 'failed';
      readonly request: number;
      readonly code: string;
      readonly message: string;
      /** Index of the listener that could not be bound. */
      readonly listener?: number | undefined;
    }
  | { readonly type: 'done'; readonly request: number }
  | { readonly type: 'events'; readonly events: readonly WorkerEvent[] }
  | ({ readonly type: 'fault' } & Fault)
  | { readonly type: 'clients'; readonly request: number; readonly answer: ClientAnswer }
  | { readonly type: 'moved'; readonly request: number; readonly tally: MoveTally }
  | { readonly type: 'traced'; readonly request: number; readonly answer: TraceAnswer }
  | { readonly type: 'kicked'; readonly request: number; readonly count: number }
  | { readonly type: 'dismissed'; readonly request: number; readonly ended: number; readonly left: number }
  /** `problem`: why the former options stay. */
  | { readonly type: 'tlsUpdated'; readonly request: number; readonly problem: string | undefined };
