import type { Connection } from '../connection/connection.ts';
import type { OpaqueConnection } from '../connection/opaque.ts';
import type { BanSubject, Bans } from '../policy/admission/bans.ts';
import { clientCnOf } from './rule-input.ts';

/** Ends the devices that are connected when they are banned. */

type Carried = Connection | OpaqueConnection;

/** As `client kick` ends them. */
export function endBanned(bans: Bans, hosts: Iterable<{ readonly open: Iterable<Carried> }>): void {
  if (bans.size === 0) return;
  for (const { open } of hosts)
    for (const connection of [...open])
      if (bans.find(new Subject(connection), Date.now()) !== undefined) connection.end('kicked');
}

/** Asked of each connection of the thread: what no ban asks for is not looked up. */
class Subject implements BanSubject {
  private readonly connection: Carried;

  constructor(connection: Carried) {
    this.connection = connection;
  }

  get clientId(): string {
    return this.connection.clientId;
  }

  get username(): string | undefined {
    return this.connection.connect?.username;
  }

  get clientCn(): string | undefined {
    return clientCnOf(this.connection.peer);
  }

  get sourceAddress(): string {
    return this.connection.peer.remoteAddress;
  }
}
