import { expect, test } from 'vitest';
import type { ClientDetail } from '../../../src/admin/backend.ts';
import { BreakwaterError } from '../../../src/errors.ts';
import type { MembershipStore } from '../../../src/membership/store.ts';
import { type Local, withPeers } from '../../../src/server/peers.ts';

const away = { ask: () => Promise.reject(new BreakwaterError('STORE_UNAVAILABLE', 'away')) };
const meter = { clientId: 'meter' } as ClientDetail;

/** A proxy that has so many connections of one device, `meter`. */
function local(count: number): Local {
  const clients = Array.from({ length: count }, () => meter);
  return {
    clients: async () => ({ clients, total: count }),
    client: async () => clients,
    kick: async () => count,
  } as Partial<Local> as Local; // what else proxies ask each other is tested with real ones
}

const together = (own: Local, store: Pick<MembershipStore, 'ask'>) =>
  withPeers(own, { store, proxies: () => 2 });

test('what all proxies have is laid together', async () => {
  const other = together(local(2), { ask: async () => [] });
  const peers = together(local(1), { ask: async (question) => [await other.answer(question)] });
  expect((await peers.clients({ limit: 2 })).total).toBe(3);
  expect((await peers.clients({ limit: 2 })).clients).toHaveLength(2);
  expect(await peers.client('meter')).toHaveLength(3);
  expect(await peers.kick('meter')).toBe(3);
});

test('a store that is away: what is here is answered', async () => {
  const peers = together(local(1), away);
  expect(await peers.clients({ limit: 10 })).toEqual({ clients: [meter], total: 1 });
  expect(await peers.client('meter')).toEqual([meter]);
  expect(await peers.kick('meter')).toBe(1);
});

test('a store that is away: what is not here is not said to be nowhere', async () => {
  const peers = together(local(0), away);
  await expect(peers.client('meter')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await expect(peers.kick('meter')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});
