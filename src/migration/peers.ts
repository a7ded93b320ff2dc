import type { Others } from '../membership/other-proxies.ts';
import type { Topics } from '../membership/store/topics.ts';
import { type LocalClients, withPeerClients } from './peer-clients.ts';
import { type LocalMoves, withPeerMoves } from './peer-moves.ts';

/** What this proxy knows and can do by itself. */
export type Local = LocalClients & LocalMoves;

/** Lays the other proxies' devices over this proxy's own: the same questions, answered by all together. */
export function withPeers(local: Local, topics: Topics, others: Others) {
  return { ...withPeerClients(local, topics, others), ...withPeerMoves(local, topics, others) };
}

export type Peers = ReturnType<typeof withPeers>;
