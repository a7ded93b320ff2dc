import type { PoolConfig } from '../config/config.ts';
import { cookiesOf } from '../config/pool-cookies.ts';
import type { DeviceRates, Placement, PoolRoute as Route } from '../connection/connection-host.ts';
import type { Peer, Target } from '../connection/wire.ts';
import type { SelectionKey } from '../policy/balance/strategy.ts';
import type { Connect } from '../protocol/mqtt/connect.ts';
import type { Balancer } from './balancer.ts';
import { createProxyHeader, withHeader } from './proxy-header.ts';
import { createSources, sourced } from './source-addresses.ts';
import { transparent } from './transparent.ts';
import type { CookieRoute } from './upgrade-cookies.ts';

/** One pool of this thread. */
export interface PoolRoute extends Route, CookieRoute {
  /**
   * The same pool as a rule has it: a key in place of whatever its strategy hashes, how devices are carried, and how fast
   * they may send. One value for one rule without a key.
   */
  as(rule: RouteChange): PoolRoute;
}

interface RouteChange {
  /** Overrides those of the configuration's `limits`. */
  readonly limits?: Partial<DeviceRates> | undefined;
  readonly key?: string | undefined;
  readonly mode?: 'relay' | 'session' | undefined;
}

export function createPoolRoute(
  pool: PoolConfig,
  index: number,
  balancer: Balancer,
  recallTimeoutMs: number,
  rates: DeviceRates,
): PoolRoute {
  const { name, persistence, upstream } = pool;
  const hasSources = upstream.sourceAddresses.length > 0;
  const source = createSources(upstream.sourceAddresses);
  const headerOf = createProxyHeader(upstream, Date.now);
  const cookies = cookiesOf(persistence);
  /** The same candidates as they are dialled for this device. */
  const ofDevice = (all: Placement['candidates'], peer: Peer): Placement['candidates'] => {
    let candidates = all;
    if (upstream.transparent) candidates = transparent(candidates, peer.remoteAddress);
    else if (hasSources) candidates = sourced(candidates, source);
    return headerOf === undefined ? candidates : withHeader(candidates, headerOf(peer));
  };
  const routes = new WeakMap<RouteChange, PoolRoute>();
  const routeAs = (change: RouteChange): PoolRoute => {
    const known = routes.get(change);
    if (known !== undefined) return known;
    const route = routeBy(change);
    if (change.key === undefined) routes.set(change, route);
    return route;
  };
  const routeBy = ({ key: fixedKey, mode, limits }: RouteChange): PoolRoute => ({
    name,
    mode,
    as: routeAs,
    rates: ratesOf({ ...rates, ...limits }),
    moves: upstream,
    named: (reference) => balancer.named(index, reference),
    hasOther: (nodeIds) => balancer.hasOther(index, nodeIds),
    recallTimeoutMs: persistence.by === 'client-id' ? recallTimeoutMs : 0,
    claimTtlMs: persistence.by === 'client-id' ? persistence.ttlMs : 0,
    cookies,
    suggest({ remoteAddress, remotePort }: Peer, recalled: readonly string[]): string | undefined {
      // Without a client id, devices of one address would all be hashed to one node.
      const clientId = fixedKey ?? `${remoteAddress}:${remotePort}`;
      const key = { clientId, sourceAddress: fixedKey ?? remoteAddress };
      const first = (node?: string) => balancer.candidates(index, key, node).next().value?.nodeId;
      return recalled.find((node) => first(node) === node) ?? first();
    },
    place({ clientId }: Pick<Connect, 'clientId'>, peer: Peer, preferred: string | undefined): Placement {
      const key = fixed(fixedKey) ?? new DeviceKey(clientId, peer);
      return {
        candidates: ofDevice(balancer.candidates(index, key, preferred), peer),
        retryPolicy: upstream,
      };
    },
    target(nodeId: string, peer: Peer): Target | undefined {
      const target = balancer.target(index, nodeId);
      return target && ofDevice([target].values() as Placement['candidates'], peer).next().value;
    },
  });
  return routeAs({});
}

/** Whether a reload has left the pool of this route. */
export function isAmong(routes: readonly (PoolRoute | undefined)[], { name }: Route): boolean {
  return routes.some((known) => known?.name === name);
}

function ratesOf(rates: DeviceRates): DeviceRates | undefined {
  return rates.messageRate === 0 && rates.byteRate === 0 ? undefined : rates;
}

function fixed(key: string | undefined): SelectionKey | undefined {
  return key === undefined ? undefined : { clientId: key, sourceAddress: key };
}

/** What a strategy may hash. An address becomes text only where it is asked for. */
class DeviceKey implements SelectionKey {
  private readonly ownId: string;
  private readonly peer: Peer;

  constructor(ownId: string, peer: Peer) {
    this.ownId = ownId;
    this.peer = peer;
  }

  /** Each device without one gets another from the broker at every connect: there is no session to come back to. */
  get clientId(): string {
    const { remoteAddress, remotePort } = this.peer;
    return this.ownId || `${remoteAddress}:${remotePort}`;
  }

  get sourceAddress(): string {
    return this.peer.remoteAddress;
  }
}
