import { systemRandom } from '../base/time.ts';
import { MAX_LISTENERS } from '../data-plane-api/routing-table.ts';
import { createLimiterMemory, type LimiterMemory } from '../policy/admission/connection-limiter.ts';

/** Memory of limits that all workers keep together. */

/** What all threads know of who is connected. */
export function sharedLimiterMemory(threads: number, maxConnections: number): LimiterMemory {
  return createLimiterMemory({ threads, listeners: MAX_LISTENERS, maxConnections, seed: randomSeed() });
}

/** Nobody outside is to know which sources share a place in a sketch. */
export function randomSeed(): number {
  return Math.floor(systemRandom() * 2 ** 32);
}
