import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BreakwaterError } from '../../../src/base/errors.ts';
import { systemClock, systemTimers } from '../../../src/base/time.ts';
import type { Claimant } from '../../../src/membership/claim.ts';
import { createClaims } from '../../../src/membership/claims.ts';
import { MemoryStore } from '../../../src/membership/store/memory.ts';
import type { ClientKey, MembershipStore } from '../../../src/membership/store/store.ts';

const meter: ClientKey = { pool: 'default', clientId: 'meter' };
const at = (node: string, more: Partial<Claimant> = {}): Claimant => ({
  ...{ ...meter, node, ttlMs: 1000, who: 7, sinceMs: 1, thread: 0 },
  ...more,
});

const time = { recallTimeoutMs: () => 50, clock: systemClock, timers: systemTimers };

/** Two proxies and one store; `told` lists whose connections have learned of a newer one. */
function scene() {
  const store = new MemoryStore();
  const clock = { ms: 0 };
  const waits: Array<() => void> = [];
  const injected = {
    ...time,
    clock: { now: () => clock.ms },
    timers: { setTimeout: (run: () => void) => waits.push(run) },
  };
  const told: string[] = [];
  const elsewhere: string[] = [];
  const [a, b] = ['a', 'b'].map((proxy) =>
    createClaims({
      ...{ proxy, store, ...injected },
      supersede: ({ clientId, who, sinceMs }) => told.push(`${clientId}@${proxy} until ${sinceMs}: ${who}`),
      acceptedElsewhere: ({ clientId }) => elsewhere.push(`${clientId}@${proxy}`),
    }),
  ) as [ReturnType<typeof createClaims>, ReturnType<typeof createClaims>];
  return { store, told, elsewhere, a, b, clock, waits };
}

test('what one proxy claimed, another recalls', async () => {
  const { a, b } = scene();
  expect(await b.recall(meter)).toBeUndefined();
  await a.claim(at('n1'));
  expect(await b.recall(meter)).toBe('n1');
});

test('a thread that dies takes its claims with it, and no other', async () => {
  const { store, told, a } = scene();
  await a.claim(at('n1', { thread: 1 }));
  await a.claim(at('n1', { clientId: 'other', thread: 2 }));
  a.forget(1);
  expect(await a.recall(meter)).toBe('n1'); // where it was is still known, until its time is over
  const renewed: string[] = [];
  const renew = store.renewClients.bind(store);
  store.renewClients = async (proxy, clients, ttlMs) => {
    renewed.push(...clients.map(({ clientId }) => clientId));
    return renew(proxy, clients, ttlMs);
  };
  await a.renew();
  expect([renewed, told]).toEqual([['other'], []]);
});

test('a device of a dead thread keeps its claim, hears of rivals, and has it at the thread that goes on with it', async () => {
  const { told, a, b } = scene();
  await a.claim(at('n1', { thread: 1 }));
  a.forget(1, [meter]);
  a.wentOver(meter, 1, 2);
  a.forget(1);
  expect(a.describe(meter)).toMatchObject({ node: 'n1', isOld: false });
  await b.claim(at('n2'));
  a.rivalled(meter, { who: 7, epoch: 9 });
  expect(told).toHaveLength(1);
  a.forget(2);
  expect(a.describe(meter)).toBeUndefined();
});

test('in another pool the client id is another device’s', async () => {
  const { a, b, told } = scene();
  await a.claim(at('n1'));
  await b.claim(at('n2', { pool: 'other' }));
  expect(await a.recall(meter)).toBe('n1');
  a.rivalled({ ...meter, pool: 'other' }, { who: 7, epoch: 2 });
  expect(told).toEqual([]);
});

test('of two claims the older proxy is told who has the newer one', async () => {
  const { a, b, told } = scene();
  await a.claim(at('n1', { sinceMs: 5 }));
  await b.claim(at('n2'));
  a.rivalled(meter, { who: 8, epoch: 2 });
  b.rivalled(meter, { who: 7, epoch: 1 });
  expect(told).toEqual(['meter@a until 5: 8']);
});

test('a newer claim that is heard of before the own one was answered counts as well', async () => {
  const { a, told } = scene();
  const claiming = a.claim(at('n1'));
  a.rivalled(meter, { who: 8, epoch: 99 });
  expect(told).toEqual([]);
  await claiming;
  expect(told).toEqual(['meter@a until 1: 8']);
});

test('one that is heard of twice is told once, and each newer one again', async () => {
  const { a, told } = scene();
  await a.claim(at('n1'));
  for (const epoch of [50, 50, 49, 51]) a.rivalled(meter, { who: epoch, epoch });
  expect(told).toEqual(['meter@a until 1: 50', 'meter@a until 1: 51']);
});

test('nobody is told of a device that has left', async () => {
  const { a, told } = scene();
  await a.claim(at('n1'));
  a.released(meter);
  a.rivalled(meter, { who: 8, epoch: 99 });
  expect(told).toEqual([]);
});

test('of two connections at one proxy the end of the older one leaves the claim of the newer', async () => {
  const { a, told } = scene();
  await a.claim(at('n1', { sinceMs: 1 }));
  await a.claim(at('n2', { sinceMs: 2 }));
  a.released(meter);
  a.rivalled(meter, { who: 8, epoch: 99 });
  expect(told).toEqual(['meter@a until 2: 8']);
});

test('a device that comes back here is newer than the claim that was newer than its last', async () => {
  const { a, told } = scene();
  await a.claim(at('n1', { sinceMs: 1 }));
  a.rivalled(meter, { who: 8, epoch: 50 });
  await a.claim(at('n1', { sinceMs: 2 }));
  a.released(meter);
  a.rivalled(meter, { who: 8, epoch: 99 });
  expect(told).toEqual(['meter@a until 1: 8', 'meter@a until 2: 8']);
});

test('what was claimed while the store was away is claimed with the next renewal', async () => {
  const { store, a, b } = scene();
  const { claimClient } = store;
  store.claimClient = () => Promise.reject(new BreakwaterError('STORE_UNAVAILABLE', 'away'));
  await a.claim(at('n1'));
  store.claimClient = claimClient;
  await a.renew();
  expect(await b.recall(meter)).toBe('n1');
});

test('a store that is away costs nothing but the memory', async () => {
  const away = () => Promise.reject(new BreakwaterError('STORE_UNAVAILABLE', 'away'));
  const store = { recallClient: away, claimClient: away, moveClient: away, renewClients: away };
  const claims = createClaims({
    proxy: 'a',
    store,
    ...time,
    supersede: () => expect.unreachable(),
    acceptedElsewhere() {},
  });
  expect(await claims.recall(meter)).toBeUndefined();
  await claims.claim(at('n1'));
  await claims.moved({ ...meter, sinceMs: 1, node: 'n2' });
});

/** A store that counts as empty for who renews. */
const forgetful = (store: MembershipStore): void => {
  store.renewClients = async (_, clients) => clients;
};

test('what the store has lost is claimed again, as old as it was', async () => {
  const { store, a, b, told } = scene();
  await a.claim(at('n1'));
  const before = (await store.recallClient(meter))?.epoch;
  await store.claimClient({ ...meter, clientId: 'other' }, { node: 'n', proxy: 'b', who: 7 }, 1000);
  forgetful(store);
  await a.renew();
  expect(await store.recallClient(meter)).toMatchObject({ node: 'n1', epoch: before });
  await b.claim(at('n2')); // the device itself came back
  await a.renew();
  expect(await b.recall(meter)).toBe('n2');
  expect(told).toEqual([]);
});

test('a claim that another proxy has outdone is neither renewed nor made again', async () => {
  const { store, a, b } = scene();
  await a.claim(at('n1'));
  await b.claim(at('n2'));
  a.rivalled(meter, { who: 7, epoch: 2 });
  const calls: string[] = [];
  store.renewClients = async () => {
    calls.push('renew');
    return [];
  };
  store.claimClient = async () => calls.push('claim');
  await a.renew();
  expect(calls).toEqual([]);
  expect(await a.recall(meter)).toBe('n2');
});

test('claims of connected devices are renewed in bounded batches, by their ttl', async () => {
  const calls: string[] = [];
  const store = {
    recallClient: async () => undefined,
    claimClient: async () => 1,
    moveClient: async () => {},
    renewClients: async (_: string, clients: readonly ClientKey[], ttlMs: number) => {
      calls.push(`${clients.length} for ${ttlMs}`);
      return [];
    },
  };
  const claims = createClaims({ proxy: 'a', store, ...time, supersede: () => {}, acceptedElsewhere() {} });
  for (let i = 0; i < 501; i++) await claims.claim(at('n', { clientId: `m${i}` }));
  await claims.claim(at('n', { clientId: 'other', ttlMs: 9000 }));
  await claims.renew();
  expect(calls).toEqual(['500 for 1000', '1 for 1000', '1 for 9000']);
});

test('another proxy’s claim is told of, also where no connection of the device is left here', async () => {
  const { a, elsewhere } = scene();
  a.rivalled(meter, { who: 7, epoch: 2 });
  expect(elsewhere).toEqual(['meter@a']);
});

test('a session that moves to another node grows no younger: a device that came back elsewhere keeps its id', async () => {
  const { a, b, told } = scene();
  await a.claim(at('n1'));
  await b.claim(at('n2')); // of which a has not heard yet
  await a.moved({ ...meter, sinceMs: 1, node: 'n3' });
  expect(await b.recall(meter)).toBe('n2');
  a.rivalled(meter, { who: 7, epoch: 2 });
  expect(told).toEqual(['meter@a until 1: 7']);
});

test('a session that moved is remembered at its new node, and forgotten with its one connection', async () => {
  const { a, b, told } = scene();
  await a.claim(at('n1'));
  await a.moved({ ...meter, sinceMs: 1, node: 'n2' });
  expect(await b.recall(meter)).toBe('n2');
  a.released(meter);
  a.rivalled(meter, { who: 8, epoch: 99 });
  expect(told).toEqual([]);
});

test.each([
  ['is away', () => Promise.reject(new BreakwaterError('STORE_UNAVAILABLE', 'away'))],
  ['has lost it', () => Promise.resolve(undefined)],
  ['does not answer', () => new Promise<never>(() => {})],
])('where the store %s, a device that has left goes back to the node that it was at here', async (_, recallClient) => {
  const { store, a, clock, waits } = scene();
  await a.claim(at('n1'));
  await a.moved({ ...meter, sinceMs: 1, node: 'n2' });
  store.recallClient = recallClient;
  const recalled = () => {
    const place = a.recall(meter);
    for (const wait of waits) wait();
    return place;
  };
  expect(await recalled()).toBe('n2');
  a.released(meter);
  expect(await recalled()).toBe('n2');
  clock.ms = 999;
  expect(await recalled()).toBe('n2');
  clock.ms = 1_000; // its ttl
  const noAnswer = new Promise((resolve) => setImmediate(resolve, undefined));
  expect(await Promise.race([recalled(), noAnswer])).toBeUndefined();
});

test('what another proxy claimed since then holds, and not what was known here', async () => {
  const { store, a } = scene();
  await a.claim(at('n1'));
  a.released(meter);
  a.rivalled(meter, { epoch: 2, who: 7 });
  store.recallClient = () => Promise.reject(new BreakwaterError('STORE_UNAVAILABLE', 'away'));
  expect(await a.recall(meter)).toBeUndefined();
});

test('a device is where its newest connection is, or was, in whatever order three threads are heard', async () => {
  const connection = fc.record({ thread: fc.nat(2), moves: fc.boolean(), isTakenOver: fc.boolean() });
  const order = fc.array(fc.nat(2), { minLength: 20, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(connection, { minLength: 2, maxLength: 5 }),
      fc.boolean(),
      order,
      async (all, stays, turns) => {
        const { a, store } = scene();
        const queues: (() => unknown)[][] = [[], [], []];
        const end = (i: number) => queues[all[i]?.thread ?? 0]?.push(() => a.released(meter));
        for (const [i, { thread, moves, isTakenOver }] of all.entries()) {
          const [sinceMs, isLast] = [i + 1, i === all.length - 1];
          queues[thread]?.push(() => a.claim(at(`n${i}`, { thread, sinceMs })));
          if (all[i - 1]?.isTakenOver) end(i - 1);
          if (moves) queues[thread]?.push(() => a.moved({ ...meter, sinceMs, node: `m${i}` }));
          if (isLast ? !stays : !isTakenOver) end(i);
        }
        for (let i = 0; queues.some(({ length }) => length > 0); i++) {
          const speaking = queues.filter(({ length }) => length > 0);
          await speaking[(turns[i] ?? 0) % speaking.length]?.shift()?.();
        }
        const last = all.length - 1;
        const place = `${all[last]?.moves ? 'm' : 'n'}${last}`;
        expect((await store.recallClient(meter))?.node).toBe(place);
        store.recallClient = async () => undefined;
        expect(await a.recall(meter)).toBe(place);
      },
    ),
  );
});
