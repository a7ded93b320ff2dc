import { sharedClock } from '../base/time.ts';
import type { LimitsConfig, PoolConfig } from '../config/config.ts';
import { cookiesOf } from '../config/pool-cookies.ts';
import type { Balancer } from '../data-plane/balancer.ts';
import { createSources, sourced } from '../data-plane/source-addresses.ts';
import type { ListenerSettings, WorkerEvent } from '../data-plane-api/messages.ts';
import type { TableReader } from '../data-plane-api/table-reader.ts';
import type { UpstreamTls } from '../engine/tls.ts';
import type { Bans } from '../policy/admission/bans.ts';
import type { ConnectionLimiter } from '../policy/admission/connection-limiter.ts';
import type { Decision, Refusal, RuleInput } from '../policy/routing/rules.ts';
import type { HttpHost, HttpRefusal, HttpRoute } from './http-host.ts';

/** What the listeners of the HTTP thread share; changed as a whole when the configuration is. */
export interface HttpContext {
  limits: LimitsConfig;
  /** By the number of the pool. */
  pools: readonly (HttpPool | undefined)[];
  decide: (input: RuleInput) => Decision;
  readonly bans: Bans;
  /** Each request is reported. */
  tellsRequests: boolean;
  readonly table: TableReader;
  readonly now: () => number;
  readonly tell: (event: WorkerEvent) => void;
  readonly count: (listener: number, status: number) => void;
  readonly fault: (error: unknown) => void;
}

interface HttpPool {
  readonly name: string;
  /** The pool for one request; a rule's key is hashed in place of the device's address. */
  route(key: string | undefined): HttpRoute;
}

export function createHttpPool(
  pool: PoolConfig,
  number: number,
  balancer: Balancer,
  tls: UpstreamTls,
): HttpPool {
  const { name, persistence, upstream } = pool;
  const cookies = cookiesOf(persistence);
  const source = createSources(upstream.sourceAddresses);
  const routeBy = (key: string | undefined): HttpRoute => ({
    cookies,
    upstream,
    tls,
    candidates(sourceAddress, preferred) {
      const hashed = key ?? sourceAddress;
      const first = preferred.length < 2 ? preferred[0] : balancer.firstUsable(number, preferred);
      const candidates = balancer.candidates(number, { clientId: hashed, sourceAddress: hashed }, first);
      return upstream.sourceAddresses.length > 0 ? sourced(candidates, source) : candidates;
    },
  });
  const plain = routeBy(undefined);
  return { name, route: (key) => (key === undefined ? plain : routeBy(key)) };
}

/** The HTTP status of each refusal of rules. */
const refusalStatus: Readonly<Record<Refusal, number>> = {
  'not-authorized': 403,
  banned: 403,
  'server-unavailable': 503,
  'server-busy': 503,
  'quota-exceeded': 429,
  'rate-exceeded': 429,
  'use-another-server': 503,
  'server-moved': 503,
};

/** One HTTP listener, as it is configured now. */
export interface HttpPlace {
  settings: ListenerSettings;
  limiter: ConnectionLimiter;
  isTrusted: (address: string) => boolean;
}

export function createHttpHost(context: HttpContext, place: HttpPlace): HttpHost {
  const { table, now, tell } = context;
  const { index } = place.settings;

  function decide(asked: RuleInput): Decision {
    const isBanned = context.bans.size > 0 && context.bans.find(asked, Date.now()) !== undefined;
    return isBanned ? { reject: 'banned' } : context.decide({ ...asked, listener: place.settings.url });
  }

  function poolFor(decision: Decision): HttpPool | undefined {
    const name = decision !== undefined && 'pool' in decision ? decision.pool : undefined;
    return name === undefined
      ? context.pools[place.settings.pool]
      : context.pools.find((each) => each?.name === name);
  }

  return {
    get limits() {
      return context.limits.http;
    },
    get headTimeoutMs() {
      return context.limits.connectTimeoutMs;
    },
    get maxHandshakes() {
      return context.limits.maxHandshakes;
    },
    now,
    admit(address) {
      table.countAccepted(index);
      const isFull = table.countDevice(1) >= context.limits.maxConnections;
      const refusal = isFull ? 'max-connections' : place.limiter.admit(address, sharedClock.now());
      if (refusal === undefined) return true;
      table.countDevice(-1);
      table.countRejected(refusal);
      return false;
    },
    left(address) {
      place.limiter.release(address);
      table.countDevice(-1);
    },
    carried: (bytesFromDevice, bytesToDevice) => table.countUnserved(bytesFromDevice, bytesToDevice),
    refused: (reason) => table.countRejected(reason),
    isTrusted: (address) => place.isTrusted(address),
    route(asked): HttpRoute | HttpRefusal {
      const decision = decide(asked);
      if (decision !== undefined && 'reject' in decision) {
        return { status: refusalStatus[decision.reject], detail: decision.reject };
      }
      const chosen = poolFor(decision);
      return chosen?.route(decision?.key) ?? { status: 503, detail: 'there is no such pool' };
    },
    take: (target) => table.takeConnection(index, target.slot),
    release: (target) => table.releaseConnection(index, target.slot),
    dialFailed: ({ nodeId }, failure, detail) => tell({ type: 'dial-failed', node: nodeId, failure, detail }),
    answered({ nodeId }) {
      tell({ type: 'dialled', node: nodeId });
    },
    requested(record) {
      context.count(index, record.status);
      if (context.tellsRequests) tell({ type: 'requested', listener: index, ...record });
    },
    fault: context.fault,
  };
}
