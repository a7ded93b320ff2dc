import { rendezvous } from './rendezvous.ts';
import { sourceText } from './source-hash.ts';
import type { Strategy } from './strategy.ts';

/**
 * One client id, one node. Devices without a client id get a new one from the broker at every connect, so there is
 * no session to come back to; hashing the empty id would heap them all on one node. Their source address spreads them.
 */
export const clientIdHash: Strategy = (set) => rendezvous(set, (key) => key.clientId || sourceText(key));
