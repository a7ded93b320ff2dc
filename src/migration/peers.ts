import { createOthers } from '../membership/other-proxies.ts';
import type { Topics } from '../membership/store/topics.ts';
import { type LocalClients, withPeerClients } from './peer-clients.ts';
import { type LocalMoves, withPeerMoves } from './peer-moves.ts';

/** What this proxy knows and can do by itself. */
export type Local = LocalClients & LocalMoves;

interface PeersOptions {
  readonly topics: Topics;
  readonly proxyId: string;
  /** Ids of the proxies that live, as far as it is known. */
  readonly proxies: () => readonly string[];
}

/** Lays the other proxies' devices over this proxy's own: the same questions, answered by all together. */
export function withPeers(local: Local, { topics, proxyId, proxies }: PeersOptions) {
  const others = createOthers(() => proxies().filter((id) => id !== proxyId));
  return { ...withPeerClients(local, topics, others), ...withPeerMoves(local, topics, others) };
}

export type Peers = ReturnType<typeof withPeers>;
