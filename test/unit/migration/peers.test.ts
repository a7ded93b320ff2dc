import { expect, test } from 'vitest';
import type { ClientDetail } from '../../../src/admin/backend.ts';
import { BreakwaterError } from '../../../src/base/errors.ts';
import type { ClientFilter } from '../../../src/data-plane-api/messages.ts';
import { noMoves } from '../../../src/data-plane-api/move-tally.ts';
import { createOthers } from '../../../src/membership/other-proxies.ts';
import type { MembershipStore, Skipped } from '../../../src/membership/store/store.ts';
import { createTopics } from '../../../src/membership/store/topics.ts';
import {
  type ClientPart,
  type LocalClients,
  type PeerClients,
  withPeerClients,
} from '../../../src/migration/peer-clients.ts';
import { type LocalMoves, type PeerMoves, withPeerMoves } from '../../../src/migration/peer-moves.ts';

const away = { ask: () => Promise.reject(new BreakwaterError('STORE_UNAVAILABLE', 'away')) };

const meter = (clientId = 'meter', connection = 1, proxy = 'other'): ClientDetail => ({
  clientId,
  connection,
  node: 'a',
  proxy,
  listener: 'mqtt://0.0.0.0:1883',
  remoteAddress: '192.0.2.1:50000',
  protocolVersion: 4,
  keepAlive: 60,
  mode: 'session',
  connectedAt: '2026-01-01T00:00:00.000Z',
  reattachments: 0,
});

/** A proxy with these devices. */
function local(clients: readonly ClientDetail[]): Local {
  return {
    clients: async ({ limit, after = -1 }: ClientFilter): Promise<ClientPart> => {
      const behind = clients.filter(({ connection }) => connection > after);
      return { clients: behind.slice(0, limit), total: clients.length, behind: behind.length };
    },
    client: async () => clients,
    kick: async () => clients.length,
    load: () => ({ proxy: 'other', live: [['a', clients.length]] }),
  } as Partial<Local> as Local; // what else proxies ask each other is tested with real ones
}

const many = (count: number) => Array.from({ length: count }, () => meter());

type Local = LocalClients & LocalMoves;

interface Proxy {
  readonly peers: PeerClients & PeerMoves;
  readonly skipped: Skipped[];
  answer(message: unknown): Promise<unknown>;
}

function together(own: Local, store: Pick<MembershipStore, 'ask'>, id = 'self'): Proxy {
  const skipped: Skipped[] = [];
  const topics = createTopics(store, (each) => skipped.push(each));
  const others = createOthers(() => ['other']);
  const peers = { ...withPeerClients(own, topics, others, id), ...withPeerMoves(own, topics, others) };
  return { peers, skipped, answer: topics.answer };
}

/** Asks that proxy, by way of JSON. */
function asking(other: Pick<Proxy, 'answer'>): Pick<MembershipStore, 'ask'> {
  return {
    async ask(question) {
      const answer = await other
        .answer(JSON.parse(JSON.stringify(question)))
        .then((value) => JSON.parse(JSON.stringify(value ?? null)))
        .catch(() => undefined);
      if (answer === undefined) return { given: new Map(), missing: ['other'] };
      return { given: new Map([['other', answer]]), missing: [] };
    },
  };
}

const nobody = { ask: async () => ({ given: new Map(), missing: [] }) };

test('what all proxies have is laid together', async () => {
  const other = together(local(many(2)), nobody);
  const { peers } = together(local(many(1)), asking(other));
  const list = await peers.clients({ limit: 2 });
  expect([list.clients.length, list.total, list.missing]).toEqual([2, 3, []]);
  expect(await peers.client({ clientId: 'meter' })).toHaveLength(3);
  expect(await peers.kick({ clientId: 'meter' })).toBe(3);
});

test('a store that is away: what is here is answered, and who is missing is said', async () => {
  const { peers } = together(local(many(1)), away);
  expect(await peers.clients({ limit: 10 })).toEqual({ clients: [meter()], total: 1, missing: ['other'] });
  expect(await peers.client({ clientId: 'meter' })).toEqual([meter()]);
  expect(await peers.kick({ clientId: 'meter' })).toBe(1);
});

test('a store that is away: what is not here is not said to be nowhere', async () => {
  const { peers } = together(local([]), away);
  await expect(peers.client({ clientId: 'meter' })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await expect(peers.kick({ clientId: 'meter' })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

test('what cannot be said here, because devices stand still, matters only where no other proxy has found the device', async () => {
  const why = new BreakwaterError('UPGRADE_UNDER_WAY', 'connections go over');
  const still = async () => Promise.reject(why);
  const own = { ...local([]), client: still, kick: still, move: still };
  const has = together({ ...local(many(1)), move: async () => ({ ...noMoves, moving: 1 }) }, nobody);
  const elsewhere = together(own, asking(has)).peers;
  expect(await elsewhere.client({ clientId: 'meter' })).toHaveLength(1);
  expect(await elsewhere.kick({ clientId: 'meter' })).toBe(1);
  expect(await elsewhere.move({ clientId: 'meter' }, 'b')).toMatchObject({ moving: 1 });
  const hasNot = together({ ...local([]), move: async () => noMoves }, nobody);
  const here = together(own, asking(hasNot)).peers;
  await expect(here.client({ clientId: 'meter' })).rejects.toBe(why);
  await expect(here.kick({ clientId: 'meter' })).rejects.toBe(why);
  await expect(here.move({ clientId: 'meter' }, 'b')).rejects.toBe(why);
});

test('of a proxy that does not say so nobody knows that it does not have the device', async () => {
  const silent = { ask: async () => ({ given: new Map(), missing: ['other'] }) };
  const { peers } = together({ ...local([]), move: async () => noMoves }, silent);
  const code = { code: 'PROXY_SILENT', message: expect.stringContaining('other cannot say') };
  await expect(peers.client({ clientId: 'meter' })).rejects.toMatchObject(code);
  await expect(peers.kick({ connection: 1, proxy: 'other' })).rejects.toMatchObject(code);
  expect(await peers.kick({ connection: 1, proxy: 'self' })).toBe(0);
  expect(await peers.move({ connection: 1, proxy: 'self' }, 'b')).toEqual(noMoves);
  const { peers: found } = together(local(many(1)), silent);
  expect(await found.client({ clientId: 'meter' })).toHaveLength(1);
});

test('a long list comes in pages, whole and in order, up to the limit', async () => {
  const devices = Array.from({ length: 3_000 }, (_, i) => meter(`meter-${i}-${'x'.repeat(200)}`));
  const other = together(local(devices), nobody);
  const { peers } = together(local([]), asking(other));
  const whole = await peers.clients({ limit: 10_000 });
  expect(whole.clients.map(({ clientId }) => clientId)).toEqual(devices.map(({ clientId }) => clientId));
  expect([whole.total, whole.missing]).toEqual([3_000, []]);
  expect((await peers.clients({ limit: 2_000 })).clients).toHaveLength(2_000);
});

test('whoever stays connected is in one page, and in one only', async () => {
  const names = (proxy: string, count: number) =>
    Array.from({ length: count }, (_, i) => meter(`${proxy}-${i}`, 10 * i + 3, proxy));
  for (const [limit, mine, theirs] of [
    [3, 7, 5],
    [500, 1_200, 900],
    [500, 500, 500],
  ] as const) {
    const all = [...names('other', theirs), ...names('self', mine)];
    const other = together(local(names('other', theirs)), nobody, 'other');
    const { peers } = together(local(names('self', mine)), asking(other));
    const seen: string[] = [];
    let after: { connection: number; proxy: string } | undefined;
    for (let page = 0; page === 0 || after !== undefined; page++) {
      const { clients, next, total } = await peers.clients({ limit, after });
      expect(total).toBe(mine + theirs);
      seen.push(...clients.map(({ clientId }) => clientId));
      const [, connection, proxy = ''] = /^#(\d+)@(.+)$/.exec(next ?? '') ?? [];
      after = next === undefined ? undefined : { connection: Number(connection), proxy };
    }
    expect(seen).toEqual(all.map(({ clientId }) => clientId));
  }
});

test('a proxy that does not answer to the end is said to be missing', async () => {
  const devices = Array.from({ length: 3_000 }, (_, i) => meter(`meter-${i}`));
  const { ask } = asking(together(local(devices), nobody));
  let asked = 0;
  const once: Pick<MembershipStore, 'ask'> = {
    ask: async (question, timeoutMs, to) =>
      ++asked <= 2 ? ask(question, timeoutMs, to) : { given: new Map(), missing: ['other'] },
  };
  const list = await together(local([]), once).peers.clients({ limit: 10_000 });
  expect([list.total, list.missing]).toEqual([3_000, ['other']]);
  expect(list.clients.length).toBeGreaterThan(0);
});

test('a question of another shape is not answered, and counted; nobody here has seen it', async () => {
  const asked: unknown[] = [];
  const own = new Proxy({} as Local, { get: (_, name) => () => asked.push(name) });
  const { answer, skipped } = together(own, nobody);
  const questions = [
    { topic: 'clients-in-order' },
    { topic: 'clients-in-order', question: { query: { limit: -1 } } },
    { topic: 'clients-in-order', question: { query: { limit: 1e9 } } },
    { topic: 'clients-in-order', question: { query: { match: 7, limit: 1 } } },
    { topic: 'client', question: { clientId: null } },
    { topic: 'kick', question: {} },
    { topic: 'move', question: { clientId: 'a', node: 3 } },
    { topic: 'carry-out', question: { moves: [['one', [{ from: 'a', to: 'b', count: 1e300 }]]], rate: 1 } },
    { topic: 'drain-rate', question: { node: 'a', rate: -1 } },
  ];
  for (const question of questions) await expect(answer(question)).rejects.toThrow('another shape');
  for (const message of [undefined, null, 7, 'clients', [], { topic: 7 }, { topic: '__proto__' }])
    await expect(answer(message)).rejects.toThrow('not understood');
  expect(asked).toEqual([]);
  expect(skipped.map(({ key, field, reason }) => [key, field, reason]).slice(0, 3)).toEqual([
    ['questions', 'clients-in-order', 'schema'],
    ['questions', 'clients-in-order', 'schema'],
    ['questions', 'clients-in-order', 'schema'],
  ]);
  expect(skipped).toHaveLength(questions.length + 7);
});

test('an answer of another shape counts as missing', async () => {
  for (const answer of [
    null,
    7,
    [],
    { clients: 'all', total: 1 },
    { clients: [{ clientId: 7 }], total: 1 },
  ]) {
    const store = { ask: async () => ({ given: new Map([['other', answer]]), missing: [] }) };
    const { peers, skipped } = together(local(many(1)), store);
    expect(await peers.clients({ limit: 10 })).toEqual({ clients: [meter()], total: 1, missing: ['other'] });
    expect(skipped).toMatchObject([{ key: 'answers', field: 'clients-in-order', reason: 'schema' }]);
  }
});

test('a proxy speaks of its own connections only', async () => {
  const store = {
    ask: async () => ({ given: new Map([['other', { proxy: 'one', live: [['a', 3]] }]]), missing: [] }),
  };
  const { peers } = together(local([]), store);
  expect((await peers.loads())[1]).toEqual({ proxy: 'other', live: [['a', 3]] });
});
