import { rendezvous } from './rendezvous.ts';
import type { Strategy } from './strategy.ts';

/** One client id, one node. */
export const clientIdHash: Strategy = (set) => rendezvous(set, ({ clientId }) => clientId);
