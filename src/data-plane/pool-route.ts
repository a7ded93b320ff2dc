import type { PoolConfig } from '../config/config.ts';
import type { Peer } from '../connection/wire.ts';
import type { Placement, PoolRoute as Route } from '../connection/world.ts';
import type { Connect } from '../mqtt/connect.ts';
import type { Balancer } from './balancer.ts';

/** One pool of this thread. */
export interface PoolRoute extends Route {
  readonly name: string;
  /** How long it is remembered where a device was served, in ms; 0: not at all. */
  readonly claimTtlMs: number;
  /** The same pool, with a rule's key in place of whatever its strategy hashes. */
  hashedBy(key: string): PoolRoute;
}

export function createPoolRoute(
  pool: PoolConfig,
  index: number,
  balancer: Balancer,
  recallTimeoutMs: number,
  fixedKey?: string,
): PoolRoute {
  const { name, persistence, upstream } = pool;
  return {
    name,
    hashedBy: (key) => createPoolRoute(pool, index, balancer, recallTimeoutMs, key),
    recallTimeoutMs: persistence.by === 'client-id' ? recallTimeoutMs : 0,
    claimTtlMs: persistence.by === 'client-id' ? persistence.ttlMs : 0,
    place({ clientId }: Connect, { remoteAddress }: Peer, preferred: string | undefined): Placement {
      const key = { clientId: fixedKey ?? clientId, sourceAddress: fixedKey ?? remoteAddress };
      return { candidates: balancer.candidates(index, key, preferred), patience: upstream };
    },
  };
}
