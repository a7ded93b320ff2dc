import type { Peer, PeerRequest } from '../wire.ts';

/** Every field of a peer, there or not: one that is new must be passed on too. */
type Whole = { readonly [Field in keyof Required<Peer>]: Peer[Field] };

/** A peer that came by WebSocket: what the engine knows of it, and what it asked for. */
export class WebSocketPeer implements Whole {
  /** Set once, at the upgrade. */
  request: PeerRequest | undefined;
  private readonly peer: Peer;

  constructor(peer: Peer) {
    this.peer = peer;
  }

  get remoteAddress(): Peer['remoteAddress'] {
    return this.peer.remoteAddress;
  }

  get ipv4(): Peer['ipv4'] {
    return this.peer.ipv4;
  }

  get remotePort(): Peer['remotePort'] {
    return this.peer.remotePort;
  }

  get destination(): Peer['destination'] {
    return this.peer.destination;
  }

  get serverName(): Peer['serverName'] {
    return this.peer.serverName;
  }

  get tlvs(): Peer['tlvs'] {
    return this.peer.tlvs;
  }

  get tls(): Peer['tls'] {
    return this.peer.tls;
  }
}
