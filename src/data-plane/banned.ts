import type { Connection } from '../connection/connection.ts';
import type { OpaqueConnection } from '../connection/opaque.ts';
import type { Peer } from '../connection/wire.ts';
import type { BanSubject, Bans } from '../policy/admission/bans.ts';
import { clientCnOf } from './rule-input.ts';
import { shownId } from './shown-id.ts';

/** What a ban sees of a device, and what it does to one that is connected. */

type Carried = Connection | OpaqueConnection;

/** Ends those of the connections that are not to stay, as `client kick` does. */
export function endBanned(bans: Bans, connections: Iterable<Carried>): void {
  if (bans.size === 0) return;
  for (const connection of [...connections]) {
    const { clientId, connect, peer } = connection;
    const ban = bans.findKick(new Subject(clientId, connect?.username, peer), Date.now());
    if (ban !== undefined) connection.end('kicked');
  }
}

/** What bans may look at. Of each connection of a thread it is asked for: what no ban asks for is not looked up. */
export class Subject implements BanSubject {
  readonly username: string | undefined;
  private readonly id: string | undefined;
  private readonly peer: Peer;

  constructor(clientId: string | undefined, username: string | undefined, peer: Peer) {
    this.id = clientId;
    this.username = username;
    this.peer = peer;
  }

  get clientId(): string | undefined {
    return this.id && shownId(this.id);
  }

  get clientCn(): string | undefined {
    return clientCnOf(this.peer);
  }

  get sourceAddress(): string {
    return this.peer.remoteAddress;
  }
}
