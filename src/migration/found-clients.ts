import type { ClientDetail } from '../admin/backend.ts';
import { BreakwaterError } from '../base/errors.ts';
import type { Whom } from '../data-plane-api/device-order.ts';
import type { PeerClients } from './peer-clients.ts';

/** At least one. */
export type Found = readonly [ClientDetail, ...ClientDetail[]];

/** The devices that a person names, at whichever proxy. */
export function createFoundClients(peers: Pick<PeerClients, 'client' | 'kick'>) {
  /**
   * The newest first: a device that reconnects may be there twice for a moment.
   * @throws BreakwaterError CLIENT_UNKNOWN, CLIENT_AMBIGUOUS, STORE_UNAVAILABLE
   */
  async function find(whom: Whom): Promise<Found> {
    const all = await peers.client(whom);
    const [newest, ...others] = all.toSorted((a, b) => b.connectedAt.localeCompare(a.connectedAt));
    if (newest === undefined) throw unknown(whom);
    if ('connection' in whom && others.length > 0) throw ambiguous([newest, ...others]);
    return [newest, ...others];
  }

  return {
    find,
    /** @throws BreakwaterError likewise */
    async kick(whom: Whom): Promise<void> {
      // Each proxy numbers its own connections, so no connection of another proxy is ended.
      if ('connection' in whom && whom.proxy === undefined) await find(whom);
      if ((await peers.kick(whom)) === 0) throw unknown(whom);
    },
  };
}

export type FoundClients = ReturnType<typeof createFoundClients>;

function unknown(whom: Whom): BreakwaterError {
  const what =
    'clientId' in whom
      ? `no device with client id ${JSON.stringify(whom.clientId.slice(0, 64))}`
      : `no connection #${whom.connection}${whom.proxy === undefined ? '' : ` of proxy ${whom.proxy}`}`;
  return new BreakwaterError('CLIENT_UNKNOWN', `${what} is connected`);
}

function ambiguous(all: Found): BreakwaterError {
  const [{ connection }] = all;
  const names = all.map(({ proxy }) => `#${connection}@${proxy}`).sort();
  return new BreakwaterError(
    'CLIENT_AMBIGUOUS',
    `several proxies have a connection #${connection}: say ${names.join(' or ')}`,
  );
}
