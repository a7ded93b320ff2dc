import { expect, test } from 'vitest';
import type { ClientDetail } from '../../../src/admin/backend.ts';
import type { Whom } from '../../../src/data-plane-api/device-order.ts';
import { createFoundClients } from '../../../src/migration/found-clients.ts';
import { whomOf } from '../../../src/migration/whom.ts';

const device = (connection: number, proxy: string, at: string) =>
  ({ clientId: 'meter', connection, proxy, connectedAt: `2026-01-01T00:00:0${at}Z` }) as ClientDetail;

/** Who is connected, and whom was kicked. */
function scene(...all: readonly ClientDetail[]) {
  const kicked: Whom[] = [];
  const found = createFoundClients({
    client: async (whom) =>
      all.filter((each) =>
        'clientId' in whom
          ? each.clientId === whom.clientId
          : each.connection === whom.connection && (whom.proxy ?? each.proxy) === each.proxy,
      ),
    kick: async (whom) => {
      kicked.push(whom);
      return all.length;
    },
  });
  return { found, kicked };
}

test.each([
  ['meter', { clientId: 'meter' }],
  ['#17', { connection: 17 }],
  ['#17@edge-1', { connection: 17, proxy: 'edge-1' }],
  ['#17@', { clientId: '#17@' }],
  ['#x', { clientId: '#x' }],
  ['#12345678901', { clientId: '#12345678901' }],
  ['', { clientId: '' }],
])('%j means %o', (asked, whom) => {
  expect(whomOf(asked)).toEqual(whom);
});

test('of several connections of one client id the newest comes first, whichever pool or proxy it is of', async () => {
  const { found } = scene(device(1, 'p1', '1'), device(7, 'p2', '3'), device(2, 'p1', '2'));
  expect((await found.find({ clientId: 'meter' })).map(({ connection }) => connection)).toEqual([7, 2, 1]);
});

test('a number that two proxies have given is neither shown nor kicked before it is said which is meant', async () => {
  const { found, kicked } = scene(device(1, 'p2', '1'), device(1, 'p1', '2'));
  const ambiguous = { code: 'CLIENT_AMBIGUOUS', message: expect.stringContaining('#1@p1 or #1@p2') };
  await expect(found.find({ connection: 1 })).rejects.toMatchObject(ambiguous);
  await expect(found.kick({ connection: 1 })).rejects.toMatchObject(ambiguous);
  expect(kicked).toEqual([]);
  expect(await found.find({ connection: 1, proxy: 'p2' })).toMatchObject([{ proxy: 'p2' }]);
  await found.kick({ connection: 1, proxy: 'p2' });
  await found.kick({ clientId: 'meter' });
  expect(kicked).toEqual([{ connection: 1, proxy: 'p2' }, { clientId: 'meter' }]);
});

test('who is not there is said to be unknown', async () => {
  const { found } = scene();
  for (const whom of [{ clientId: 'meter' }, { connection: 1 }, { connection: 1, proxy: 'p1' }]) {
    await expect(found.find(whom)).rejects.toMatchObject({ code: 'CLIENT_UNKNOWN' });
    await expect(found.kick(whom)).rejects.toMatchObject({ code: 'CLIENT_UNKNOWN' });
  }
});
