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
      if (bans.find(subjectOf(connection), Date.now()) !== undefined) connection.end('kicked');
}

function subjectOf({ clientId, connect, peer }: Carried): BanSubject {
  return {
    ...{ clientId, username: connect?.username, sourceAddress: peer.remoteAddress },
    get clientCn() {
      return clientCnOf(peer);
    },
  };
}
