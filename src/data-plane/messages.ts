import type { DoorMemory } from '../admission/door.ts';
import type { LimitsConfig, PoolConfig, RuleConfig } from '../config/config.ts';
import type { EndCause } from '../connection/wire.ts';
import type { DialFailure, EndReason } from '../connection/world.ts';
import type { BoundAddress, ListenOptions } from '../engine/engine.ts';

/** What is said between the main thread and a data thread. All of it is structured-cloneable. */

/** Everything that a data thread needs to begin. */
export interface ThreadStart {
  readonly thread: number;
  readonly threads: number;
  readonly table: SharedArrayBuffer;
  readonly door: DoorMemory;
  readonly engine: 'epoll' | 'node';
  readonly settings: ThreadSettings;
}

export interface ListenerSettings extends ListenOptions {
  /** As configured, for rules. */
  readonly url: string;
  /** Index of the pool that takes what no rule decides. */
  readonly pool: number;
}

export interface ThreadSettings {
  readonly limits: LimitsConfig;
  /** A pool's index here is its number in the routing table. */
  readonly pools: readonly PoolConfig[];
  readonly rules: readonly RuleConfig[];
  /** The longest that a connect waits for what is remembered of its device. */
  readonly recallTimeoutMs: number;
}

/** A served connection, as `client list` shows it. */
export interface ClientRecord {
  readonly clientId: string;
  readonly node: string;
  readonly listener: number;
  readonly remoteAddress: string;
  readonly protocolVersion: 3 | 4 | 5;
  readonly keepAlive: number;
  /** Milliseconds that it has been served. */
  readonly ageMs: number;
}

export interface ClientFilter {
  /** Exact client id. */
  readonly clientId?: string | undefined;
  readonly node?: string | undefined;
  /** Part of the client id. */
  readonly match?: string | undefined;
  readonly limit: number;
}

export interface ClientAnswer {
  readonly clients: readonly ClientRecord[];
  readonly total: number;
}

export type Command =
  | { readonly type: 'listen'; readonly listeners: readonly ListenerSettings[] }
  /** Stop accepting; `drained` follows when the last device has left. */
  | { readonly type: 'stop' }
  | { readonly type: 'endAll'; readonly reason: EndReason }
  | { readonly type: 'close' }
  /** Whether placed and ended connections are told one by one. */
  | { readonly type: 'verbose'; readonly on: boolean }
  | { readonly type: 'clients'; readonly request: number; readonly filter: ClientFilter }
  /** Answers `recall`: where the device was served last. */
  | { readonly type: 'recalled'; readonly request: number; readonly node: string | undefined }
  | { readonly type: 'kick'; readonly request: number; readonly clientId: string };

export type ThreadEvent =
  | {
      readonly type: 'placed';
      readonly clientId: string;
      readonly node: string;
      readonly listener: number;
      readonly remoteAddress: string;
    }
  | {
      readonly type: 'ended';
      readonly clientId: string;
      readonly node: string;
      readonly listener: number;
      readonly remoteAddress: string;
      readonly reason: EndReason;
      readonly durationMs: number;
      readonly bytesFromDevice: number;
      readonly bytesToDevice: number;
    }
  | {
      readonly type: 'rejected';
      readonly reason: string;
      readonly clientId: string | undefined;
      readonly listener: number;
      readonly remoteAddress: string;
    }
  | {
      readonly type: 'dial-failed';
      readonly node: string;
      readonly failure: DialFailure;
      readonly detail: string;
    }
  /** A device of a pool that remembers wants to know where it was; answered by the command `recalled`. */
  | { readonly type: 'recall'; readonly request: number; readonly clientId: string }
  /** A device of such a pool is served, and is no longer served. */
  | { readonly type: 'claimed'; readonly clientId: string; readonly node: string; readonly ttlMs: number }
  | { readonly type: 'released'; readonly clientId: string }
  /** At least one dial since the last batch succeeded. */
  | { readonly type: 'dialled'; readonly node: string }
  | { readonly type: 'link-lost'; readonly node: string; readonly cause: EndCause; readonly live: number };

export type Report =
  | { readonly type: 'ready'; readonly wakeFd: number | undefined }
  | { readonly type: 'listening'; readonly addresses: readonly BoundAddress[] }
  | { readonly type: 'failed'; readonly code: string; readonly message: string }
  | { readonly type: 'events'; readonly events: readonly ThreadEvent[] }
  | { readonly type: 'fault'; readonly message: string; readonly stack: string | undefined }
  | { readonly type: 'clients'; readonly request: number; readonly answer: ClientAnswer }
  | { readonly type: 'kicked'; readonly request: number; readonly count: number };
