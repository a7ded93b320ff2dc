import { expect, test } from 'vitest';
import { createClaims } from '../../../src/control/claims.ts';
import { BreakwaterError } from '../../../src/errors.ts';
import { createMemoryStore } from '../../../src/membership/memory.ts';

/** Two proxies and one store; `kicked` lists whose connection each gave up. */
function scene() {
  const store = createMemoryStore();
  const kicked: string[] = [];
  const [a, b] = ['a', 'b'].map((proxy) =>
    createClaims({ proxy, store, endHere: (clientId) => kicked.push(`${clientId}@${proxy}`) }),
  ) as [ReturnType<typeof createClaims>, ReturnType<typeof createClaims>];
  return { store, kicked, a, b };
}

test('what one proxy claimed, another recalls', async () => {
  const { a, b } = scene();
  expect(await b.recall('meter')).toBeUndefined();
  await a.claim('meter', 'n1', 1000);
  expect(await b.recall('meter')).toBe('n1');
});

test('of two claims the newest wins: the older proxy gives up its connection', async () => {
  const { a, b, kicked } = scene();
  await a.claim('meter', 'n1', 1000);
  await b.claim('meter', 'n2', 1000);
  a.rivalled('meter', { node: 'n2', proxy: 'b', epoch: 2 });
  b.rivalled('meter', { node: 'n1', proxy: 'a', epoch: 1 });
  expect(kicked).toEqual(['meter@a']);
});

test('a newer claim that is heard of before the own one was answered counts as well', async () => {
  const { a, kicked } = scene();
  const claiming = a.claim('meter', 'n1', 1000);
  a.rivalled('meter', { node: 'n2', proxy: 'b', epoch: 99 });
  expect(kicked).toEqual([]);
  await claiming;
  expect(kicked).toEqual(['meter@a']);
});

test('a device that has left is not kicked any more', async () => {
  const { a, kicked } = scene();
  await a.claim('meter', 'n1', 1000);
  a.released('meter');
  a.rivalled('meter', { node: 'n2', proxy: 'b', epoch: 99 });
  expect(kicked).toEqual([]);
});

test('of two connections at one proxy the end of the older one leaves the claim of the newer', async () => {
  const { a, kicked } = scene();
  await a.claim('meter', 'n1', 1000);
  await a.claim('meter', 'n2', 1000);
  a.released('meter');
  a.rivalled('meter', { node: 'n3', proxy: 'b', epoch: 99 });
  expect(kicked).toEqual(['meter@a']);
});

test('a claim outlives the ends of connections that were given up before it', async () => {
  const { a, kicked } = scene();
  await a.claim('meter', 'n1', 1000);
  a.rivalled('meter', { node: 'n2', proxy: 'b', epoch: 50 });
  await a.claim('meter', 'n1', 1000);
  a.released('meter');
  a.rivalled('meter', { node: 'n2', proxy: 'b', epoch: 99 });
  expect(kicked).toEqual(['meter@a', 'meter@a']);
});

test('what was claimed while the store was away is claimed with the next renewal', async () => {
  const { store, a, b } = scene();
  const { claimClient } = store;
  store.claimClient = () => Promise.reject(new BreakwaterError('STORE_UNAVAILABLE', 'away'));
  await a.claim('meter', 'n1', 1000);
  store.claimClient = claimClient;
  await a.renew();
  expect(await b.recall('meter')).toBe('n1');
});

test('a store that is away costs nothing but the memory', async () => {
  const away = () => Promise.reject(new BreakwaterError('STORE_UNAVAILABLE', 'away'));
  const store = { recallClient: away, claimClient: away, moveClient: away, renewClients: away };
  const claims = createClaims({ proxy: 'a', store, endHere: () => expect.unreachable() });
  expect(await claims.recall('meter')).toBeUndefined();
  await claims.claim('meter', 'n1', 1000);
  await claims.moved('meter', 'n2');
});

test('what the store has lost is claimed anew', async () => {
  const { store, a, b } = scene();
  await a.claim('meter', 'n1', 1000);
  store.renewClients = async (_, ids) => ids;
  await b.claim('meter', 'n2', 1000); // as if the store had come back empty, and knew another node since
  await a.renew();
  expect(await b.recall('meter')).toBe('n1');
});

test('claims of connected devices are renewed in bounded batches, by their ttl', async () => {
  const calls: string[] = [];
  const store = {
    recallClient: async () => undefined,
    claimClient: async () => 1,
    moveClient: async () => {},
    renewClients: async (_: string, ids: readonly string[], ttlMs: number) => {
      calls.push(`${ids.length} for ${ttlMs}`);
      return [];
    },
  };
  const claims = createClaims({ proxy: 'a', store, endHere: () => {} });
  for (let i = 0; i < 501; i++) await claims.claim(`m${i}`, 'n', 1000);
  await claims.claim('other', 'n', 9000);
  await claims.renew();
  expect(calls).toEqual(['500 for 1000', '1 for 1000', '1 for 9000']);
});

test('a session that moves to another node grows no younger: a device that came back elsewhere keeps its id', async () => {
  const { a, b, kicked } = scene();
  await a.claim('meter', 'n1', 1000);
  await b.claim('meter', 'n2', 1000); // of which a has not heard yet
  await a.moved('meter', 'n3');
  expect(await b.recall('meter')).toBe('n2');
  a.rivalled('meter', { node: 'n2', proxy: 'b', epoch: 2 });
  expect(kicked).toEqual(['meter@a']);
});

test('a session that moved is remembered at its new node, and forgotten with its one connection', async () => {
  const { a, b, kicked } = scene();
  await a.claim('meter', 'n1', 1000);
  await a.moved('meter', 'n2');
  expect(await b.recall('meter')).toBe('n2');
  a.released('meter');
  a.rivalled('meter', { node: 'n3', proxy: 'b', epoch: 99 });
  expect(kicked).toEqual([]);
});
