import { type IpSource, newIpWords, parseIp, readIp } from '../../protocol/address/ip.ts';
import { compileNetworks } from '../../protocol/address/networks.ts';
import type { ConnackRefusal } from '../../protocol/mqtt/reason-codes.ts';
import { createCountSketch, createLevelSketch, sketchLength } from './sketch.ts';
import { sourceHash } from './source-hash.ts';
import { ROUNDING_MS } from './token-bucket.ts';

/**
 * Who may connect at all, asked before the first byte is read (and so before TLS): networks, connect rates and
 * numbers of connections, of one source and of one listener. A source is an IPv4 address or an IPv6 /64.
 */

export interface LimiterLimits {
  /** Networks that may connect; none: all. */
  readonly allow: readonly string[];
  /** Networks that may not, also where `allow` has them. */
  readonly deny: readonly string[];
  /** Connects a second, at one listener and from one source; 0: no limit. A second's worth may come at once. */
  readonly connectRate: number;
  readonly connectRatePerSource: number;
  /** At one time, at one listener and from one source over all listeners; 0: no limit. */
  readonly maxConnectionsPerListener: number;
  readonly maxConnectionsPerSource: number;
}

/** Labels of `connect_rejected_total`, and what MQTT says where it is asked late enough to say it. */
export const limiterRefusals = {
  'source-denied': 'banned',
  'source-not-allowed': 'not-authorized',
  'source-rate': 'rate-exceeded',
  'source-connections': 'quota-exceeded',
  'listener-rate': 'rate-exceeded',
  'listener-connections': 'quota-exceeded',
} as const satisfies Record<string, ConnackRefusal>;
export type LimiterRefusal = keyof typeof limiterRefusals;
export const limiterRefusalLabels = Object.keys(limiterRefusals) as readonly LimiterRefusal[];

/** What all threads share: typed arrays over shared memory, to be handed to Workers as they are. */
export interface LimiterMemory {
  /** Random, so that nobody can choose an address that shares slots with another's. */
  readonly seed: number;
  readonly sourceLevels: Float64Array;
  readonly listenerLevels: Float64Array;
  /** One stripe a thread; see `forgetThread`. */
  readonly sourceCounts: readonly Int32Array[];
  readonly listenerCounts: readonly Int32Array[];
}

/** So many sources at their limit can be kept apart (see `sketchLength`); 2 MiB. */
const RATE_SOURCES = 65_536;
const MAX_COUNT_SOURCES = 1_048_576;

/** 8 bytes for each of `maxConnections` and thread, and 2 MiB. */
export function createLimiterMemory(options: {
  readonly threads: number;
  readonly listeners: number;
  /** Of the whole proxy. */
  readonly maxConnections: number;
  readonly seed: number;
}): LimiterMemory {
  const { threads, listeners, maxConnections, seed } = options;
  const doubles = (length: number) => new Float64Array(new SharedArrayBuffer(length * 8));
  const stripes = (length: number) =>
    Array.from({ length: threads }, () => new Int32Array(new SharedArrayBuffer(length * 4)));
  return {
    seed,
    sourceLevels: doubles(sketchLength(RATE_SOURCES)),
    listenerLevels: doubles(listeners),
    sourceCounts: stripes(sketchLength(Math.min(maxConnections / 2, MAX_COUNT_SOURCES))),
    listenerCounts: stripes(listeners),
  };
}

/** Gives back what a worker had counted before it died. */
export function forgetThread({ sourceCounts, listenerCounts }: LimiterMemory, thread: number): void {
  sourceCounts[thread]?.fill(0);
  listenerCounts[thread]?.fill(0);
}

export interface ConnectionLimiter {
  /** Lets one connection in and counts it, or says why not; `release` follows exactly once for each that is in. */
  admit(source: IpSource, nowMs: number): LimiterRefusal | undefined;
  /** Counts one that another process has let in; `release` follows likewise. */
  readmit(source: IpSource): void;
  release(source: IpSource): void;
}

/** The limiter of one listener on one thread. `nowMs` is of a clock that all threads share. */
export function createConnectionLimiter(
  memory: LimiterMemory,
  thread: number,
  listener: number,
  limits: LimiterLimits,
): ConnectionLimiter {
  const refusalByNetwork = compileNetworkLists(limits);
  const words = newIpWords();
  const sourceLevels = createLevelSketch(memory.sourceLevels);
  const ownSources = memory.sourceCounts[thread] as Int32Array;
  const ownListeners = memory.listenerCounts[thread] as Int32Array;
  const sources = createCountSketch(memory.sourceCounts, ownSources);
  const sourcePace = paceOf(limits.connectRatePerSource);
  const listenerPace = paceOf(limits.connectRate);
  const maxPerSource = limits.maxConnectionsPerSource || Number.POSITIVE_INFINITY;
  const maxPerListener = limits.maxConnectionsPerListener || Number.POSITIVE_INFINITY;
  const isLimited = Number.isFinite(maxPerSource) || Number.isFinite(maxPerListener);

  function countIn(key: number, change: 1 | -1): void {
    sources.add(key, change);
    ownListeners[listener] = (ownListeners[listener] as number) + change;
  }

  function isFull(): boolean {
    let count = 0;
    for (const stripe of memory.listenerCounts) count += stripe[listener] as number;
    return count > maxPerListener;
  }

  /** Counted first and looked at then, so that two threads cannot both take the last place. */
  function refusalByCount(key: number): LimiterRefusal | undefined {
    countIn(key, 1);
    if (!isLimited) return undefined;
    Atomics.add(ownListeners, listener, 0); // shows other threads what was counted, before theirs is looked at
    const refusal =
      sources.count(key) > maxPerSource
        ? 'source-connections'
        : isFull()
          ? 'listener-connections'
          : undefined;
    if (refusal !== undefined) countIn(key, -1);
    return refusal;
  }

  return {
    admit(source, nowMs) {
      const family = readIp(source, words);
      const denied = refusalByNetwork(family, words);
      if (denied !== undefined) return denied;
      const key = sourceHash(family, words, memory.seed);
      const sourceMs = sourceLevels.level(key, nowMs) + sourcePace.intervalMs;
      if (sourceMs > sourcePace.burstMs) return 'source-rate';
      const listenerMs =
        Math.max(0, (memory.listenerLevels[listener] as number) - nowMs) + listenerPace.intervalMs;
      if (listenerMs > listenerPace.burstMs) return 'listener-rate';
      const refusal = refusalByCount(key);
      if (refusal !== undefined) return refusal;
      if (sourcePace.intervalMs > 0)
        sourceLevels.raise(key, sourcePace.intervalMs, sourcePace.burstMs, nowMs);
      if (listenerPace.intervalMs > 0) memory.listenerLevels[listener] = nowMs + listenerMs;
      return undefined;
    },
    readmit(source) {
      countIn(sourceHash(readIp(source, words), words, memory.seed), 1);
    },
    release(source) {
      countIn(sourceHash(readIp(source, words), words, memory.seed), -1);
    },
  };
}

type NetworkCheck = (
  ...ip: Parameters<ReturnType<typeof compileNetworks>['hasIp']>
) => LimiterRefusal | undefined;

function compileNetworkLists({ allow, deny }: LimiterLimits): NetworkCheck {
  const allowed = compileNetworks(allow);
  const denied = compileNetworks(deny);
  return (family, words) => {
    if (denied.hasIp(family, words)) return 'source-denied';
    return allow.length > 0 && !allowed.hasIp(family, words) ? 'source-not-allowed' : undefined;
  };
}

/** What the networks alone say of an address; undefined where it is not known. */
export function networkRefusal(
  limits: LimiterLimits,
  address: string | undefined,
): LimiterRefusal | undefined {
  if (address === undefined) return undefined;
  const words = newIpWords();
  return compileNetworkLists(limits)(parseIp(address, words), words);
}

/** How far one connect brings its source ahead of the pace, and how far ahead it may be. */
function paceOf(perSecond: number): { intervalMs: number; burstMs: number } {
  if (perSecond === 0) return { intervalMs: 0, burstMs: Number.POSITIVE_INFINITY };
  const intervalMs = 1000 / perSecond;
  return { intervalMs, burstMs: Math.max(1000, intervalMs) + ROUNDING_MS };
}
