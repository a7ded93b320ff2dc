import { expect, test } from 'vitest';
import type { RebalanceView } from '../../../src/admin/backend.ts';
import { parseConfig } from '../../../src/config/load.ts';
import type { MoverProgress } from '../../../src/migration/mover.ts';
import type { Load, MovesByProxy } from '../../../src/migration/peer-moves.ts';
import { Rebalancer } from '../../../src/migration/rebalancer.ts';
import { NodeTable } from '../../../src/nodes/table.ts';
import { fakeTime } from '../../support/fake-time.ts';
import { silentLog } from '../../support/memory-backend.ts';

type Parts = ConstructorParameters<typeof Rebalancer>[0];

const none: MoverProgress = { state: 'done', moved: 0, failed: 0, left: 0, stays: 0, rate: 1, pace: 0 };

/**
 * Proxies with so many connections at each node. What they are ordered is done at the second look, unless `carried`
 * says otherwise; so many devices come to node a meanwhile.
 */
function scene(
  ids: readonly string[],
  loads: readonly Load[],
  more: Partial<Parts['peerMoves']> = {},
  newcomers = 0,
) {
  const time = fakeTime();
  const nodes = new NodeTable();
  for (const id of ids)
    nodes.put({ id, pool: 'default', url: `mqtt://${id}:1883`, weight: 10, source: 'config' });
  const live = new Map(loads.map(({ proxy, live }) => [proxy, new Map(live)]));
  const orders: MovesByProxy[] = [];
  const rates: number[] = [];
  const views: RebalanceView[] = [];
  const hold = { isOn: false };
  let looks = 0;

  /** All that was ordered last; how many sessions that were. */
  function arrive(): number {
    let moved = 0;
    for (const [proxy, moves] of orders.at(-1) ?? []) {
      const counts = live.get(proxy) as Map<string, number>;
      for (const { from, to, count } of moves) {
        counts.set(from, (counts.get(from) ?? 0) - count);
        counts.set(to, (counts.get(to) ?? 0) + count);
        moved += count;
      }
    }
    const [first] = live.values();
    first?.set('a', (first.get('a') ?? 0) + newcomers);
    return moved;
  }

  const rebalancer = new Rebalancer({
    pools: () => parseConfig('pools: { default: {}, hashed: { strategy: client-id-hash } }', 'test').pools,
    nodes,
    connectionsAt: (id) => [...live.values()].reduce((sum, counts) => sum + (counts.get(id) ?? 0), 0),
    peerMoves: {
      loads: async () => [...live].map(([proxy, counts]) => ({ proxy, live: [...counts] })),
      carryOut: async (moves, rate) => {
        looks = 0;
        orders.push(moves);
        rates.push(rate);
      },
      carried: async () =>
        ++looks < 2 ? { ...none, state: 'moving', left: 1 } : { ...none, moved: arrive(), pace: 20 },
      ...more,
    },
    isHeld: () => hold.isOn,
    log: silentLog,
    onProgress: (view) => views.push(view),
    ...{ clock: time.clock, timers: time.timers },
  });
  /** What promises wait for without any timer is done. */
  const begun = () => time.pass(0).then(() => new Promise((resolve) => setImmediate(resolve)));
  return { ...time, hold, nodes, live, orders, rates, views, rebalancer, begun };
}

test('nodes and proxies whose ids are words of the language are evened out as any others', async () => {
  const { rebalancer, orders, begun } = scene(
    ['constructor', '__proto__', 'hasOwnProperty', 'plain'],
    [
      { proxy: '__proto__', live: [['plain', 8]] },
      { proxy: 'constructor', live: [] },
    ],
    { carried: async () => none },
  );
  rebalancer.start({});
  await begun();
  expect(rebalancer.progress()?.state).toBe('blocked');
  expect(orders).toEqual([
    [
      [
        '__proto__',
        [
          { from: 'plain', to: 'constructor', count: 2 },
          { from: 'plain', to: '__proto__', count: 2 },
          { from: 'plain', to: 'hasOwnProperty', count: 2 },
        ],
      ],
      ['constructor', []],
    ],
  ]);
});

test('evens out what all proxies have together, tells how far it is, and is done when nothing is to plan', async () => {
  const { rebalancer, pass, begun, views, rates, live } = scene(
    ['a', 'b'],
    [
      { proxy: 'one', live: [['a', 30]] },
      { proxy: 'two', live: [['a', 10]] },
    ],
  );
  expect(rebalancer.progress()).toBeUndefined();
  expect(rebalancer.start({ rate: 50 })).toMatchObject({
    state: 'moving',
    rate: 50,
    pools: ['default'],
    spread: 2,
  });
  await begun();
  expect(views).toMatchObject([{ state: 'moving', left: 1 }]);
  await pass(1_000);
  expect(rebalancer.progress()).toMatchObject({ state: 'done', moved: 20, failed: 0, left: 0, spread: 0 });
  expect(views.at(-1)).toMatchObject({ state: 'done' });
  expect([...live.values()].map((counts) => Object.fromEntries(counts))).toEqual([
    { a: 15, b: 15 },
    { a: 5, b: 5 },
  ]);
  expect(rates).toEqual([25]); // two proxies share the rate
});

test('nodes that take no devices are left out, as sources too', async () => {
  const { rebalancer, nodes, begun, orders } = scene(
    ['a', 'b', 'off', 'sick'],
    [
      {
        proxy: 'one',
        live: [
          ['a', 4],
          ['b', 4],
          ['off', 40],
          ['sick', 40],
        ],
      },
    ],
  );
  nodes.setState('off', 'disabled');
  nodes.setHealth('sick', 'unhealthy', 'test');
  rebalancer.start({});
  await begun();
  expect([orders, rebalancer.progress()?.state]).toEqual([[], 'done']);
});

test('a round that moves nothing is the last: it is blocked', async () => {
  const { rebalancer, pass, begun, orders } = scene(['a', 'b'], [{ proxy: 'one', live: [['a', 10]] }], {
    carried: async () => ({ ...none, state: 'blocked', left: 5 }),
  });
  rebalancer.start({});
  await begun();
  await pass(1_000);
  expect([rebalancer.progress()?.state, orders.length]).toEqual(['blocked', 1]);
});

test('devices that come meanwhile are planned for again, not without end', async () => {
  const { rebalancer, pass, begun, orders } = scene(
    ['a', 'b'],
    [{ proxy: 'one', live: [['a', 40]] }],
    {},
    20,
  );
  rebalancer.start({});
  await begun();
  await pass(100_000);
  expect([rebalancer.progress()?.state, orders.length]).toEqual(['blocked', 10]);
});

test('a proxy that does not finish is waited for ten minutes, and no longer', async () => {
  const { rebalancer, pass, begun, pending } = scene(['a', 'b'], [{ proxy: 'one', live: [['a', 10]] }], {
    carried: async () => ({ ...none, state: 'moving', left: 5 }),
  });
  rebalancer.start({});
  await begun();
  await pass(599_000);
  expect(rebalancer.progress()?.state).toBe('moving');
  await pass(2_000);
  expect([rebalancer.progress()?.state, pending()]).toEqual(['blocked', 0]);
});

test('a second one ends the first, and stopped is stopped', async () => {
  const { rebalancer, pass, begun, views, pending } = scene(
    ['a', 'b'],
    [{ proxy: 'one', live: [['a', 10]] }],
    {
      carried: async () => ({ ...none, state: 'moving', left: 5 }),
    },
  );
  rebalancer.start({ rate: 1 });
  await begun();
  rebalancer.start({ rate: 2 });
  await begun();
  await pass(1_000);
  expect(new Set(views.slice(2).map(({ rate }) => rate))).toEqual(new Set([2]));
  rebalancer.stop();
  await pass(1_000);
  expect(pending()).toBe(0);
});

test('a cluster that cannot be asked ends it', async () => {
  const { rebalancer, begun } = scene(['a', 'b'], [], { loads: () => Promise.reject(new Error('away')) });
  rebalancer.start({});
  await begun();
  expect(rebalancer.progress()?.state).toBe('blocked');
});

test('pools that are unknown, or whose strategy says where devices belong, are refused', () => {
  const { rebalancer } = scene(['a'], []);
  expect(() => rebalancer.start({ pool: 'meters' })).toThrow('no pool "meters"; pools are default, hashed');
  expect(() => rebalancer.start({ pool: 'hashed' })).toThrow('pool hashed has the strategy client-id-hash');
  expect(rebalancer.progress()).toBeUndefined();
});

test('another process goes on with a rebalance: it plans anew when it may, and counts on', async () => {
  const loads = (a: number, b: number): Load[] => [
    {
      proxy: 'p1',
      live: [
        ['a', a],
        ['b', b],
      ],
    },
  ];
  const old = scene(['a', 'b'], loads(20, 0), {
    carried: async () => ({ ...none, state: 'moving', moved: 4, left: 6 }),
  });
  old.rebalancer.start({ rate: 5, tolerance: 0.2 });
  await old.begun();
  const handed = old.rebalancer.describe();
  expect(handed).toEqual({
    ...{ pools: ['default'], rate: 5, tolerance: 0.2, state: 'moving' },
    ...{ moved: 4, failed: 0, left: 6 },
  });
  old.rebalancer.stop();
  const next = scene(['a', 'b'], loads(16, 4));
  next.hold.isOn = true;
  next.rebalancer.restore(handed);
  await next.pass(1_000);
  expect(next.orders).toEqual([]);
  expect(next.rebalancer.progress()).toMatchObject({ state: 'moving', moved: 4, left: 6, rate: 5 });
  next.hold.isOn = false;
  await next.pass(5_000);
  expect(next.rates[0]).toBe(5);
  expect(next.rebalancer.progress()).toMatchObject({ state: 'done', tolerance: 0.2 });
  expect(next.rebalancer.progress()?.moved).toBeGreaterThanOrEqual(9);
});

test('of a rebalance that is over another process tells as before, and moves nothing', async () => {
  const { rebalancer, orders, pending } = scene(['a', 'b'], []);
  const over = { rate: 5, tolerance: 0.2, state: 'done', moved: 7, failed: 1, left: 0 } as const;
  rebalancer.restore({ ...over, pools: ['gone'] });
  expect(rebalancer.progress()).toBeUndefined();
  rebalancer.restore({ ...over, pools: ['gone', 'default'] });
  expect(rebalancer.progress()).toMatchObject({ ...over, pools: ['default'] });
  expect([orders, pending()]).toEqual([[], 0]);
});
