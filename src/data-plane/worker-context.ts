import type { LimitsConfig } from '../config/config.ts';
import type { Connection } from '../connection/connection.ts';
import type { ConnectionHost } from '../connection/connection-host.ts';
import type { WorkerEvent } from '../data-plane-api/messages.ts';
import type { TableReader } from '../data-plane-api/table-reader.ts';
import type { Bans } from '../policy/admission/bans.ts';
import type { PendingBytes } from '../policy/admission/pending-bytes.ts';
import type { ReconnectThrottle } from '../policy/admission/reconnect-throttle.ts';
import type { TokenBucket } from '../policy/admission/token-bucket.ts';
import type { Decision, RuleInput } from '../policy/routing/rules.ts';
import type { AffinityLookups } from './affinity-lookups.ts';
import type { ClientIds } from './client-ids.ts';
import type { LostLinks } from './lost-links.ts';
import type { PoolRoute } from './pool-route.ts';
import type { SessionMemories } from './session-memories.ts';
import type { Trials } from './trials.ts';
import type { TurnScheduler } from './turn-scheduler.ts';

/** What all listeners of one data thread share; a reload swaps what comes from the configuration. */
export interface WorkerContext {
  readonly limits: LimitsConfig;
  /** By the pools' numbers; undefined where there is no such pool any more. */
  readonly routes: readonly (PoolRoute | undefined)[];
  readonly affinityLookups: AffinityLookups;
  readonly pending: PendingBytes;
  readonly scheduler: TurnScheduler;
  readonly owners: ClientIds<Connection>;
  readonly lostLinks: LostLinks;
  /** When nodes that hung spoke again, by their slots, on the engine's clock. */
  readonly spokenAtMs: Map<number, number>;
  readonly trials: Trials;
  readonly turns: ConnectionHost['turns'];
  readonly scouts: ConnectionHost['scouts'];
  readonly memories: SessionMemories;
  readonly threads: number;
  readonly isShared: boolean;
  readonly random: () => number;
  readonly table: TableReader;
  /** Undefined where there are no rules. */
  readonly decide: ((input: RuleInput) => Decision) | undefined;
  readonly bans: Bans;
  readonly reconnectThrottle: ReconnectThrottle;
  /** Limits how many refused devices get the reason in a CONNACK; undefined: none do. */
  readonly rejectionBudget: TokenBucket | undefined;
  readonly now: () => number;
  readonly tell: (event: WorkerEvent) => void;
  /** Each placed and each ended connection is reported. */
  verbose: boolean;
}
