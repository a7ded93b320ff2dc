/** Every balancing strategy by its name. */

import { clientIdHash } from './client-id-hash.ts';
import { leastConnections } from './least-connections.ts';
import { roundRobin } from './round-robin.ts';
import { sourceHash } from './source-hash.ts';
import type { Strategy } from './strategy.ts';

export type StrategyName = 'round-robin' | 'least-connections' | 'source-hash' | 'client-id-hash';

/** Every strategy by the name that the configuration uses. */
export const strategies: Readonly<Record<StrategyName, Strategy>> = {
  'round-robin': roundRobin,
  'least-connections': leastConnections,
  'source-hash': sourceHash,
  'client-id-hash': clientIdHash,
};
