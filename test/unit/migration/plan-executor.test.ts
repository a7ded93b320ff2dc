import { expect, test } from 'vitest';
import { PlanExecutor } from '../../../src/migration/plan-executor.ts';
import { fakeTime } from '../../support/fake-time.ts';

type Order = Parameters<ConstructorParameters<typeof PlanExecutor>[0]['move']>[0];

const times = { durationMs: 20, connackMs: 5 };
const nothing = { moving: 0, later: 0, stuck: 0, ended: 0, noNode: 0 };

/** What is ordered arrives 20 ms later; `movable` says how many sessions of an order may go. */
function scene(movable: (order: Order) => number = ({ count }) => count, time = fakeTime()) {
  const hold = { isOn: false };
  const orders: string[] = [];
  const carryOut = new PlanExecutor({
    async move(order) {
      const moving = Math.min(order.count, movable(order));
      orders.push(`${moving} ${order.from} ${order.to}`);
      for (let i = 0; i < moving; i++)
        time.timers.setTimeout(() => carryOut.reattached('rebalance', true, times), 20);
      return { ...nothing, moving, stuck: order.count - moving };
    },
    isHeld: () => hold.isOn,
    ...{ clock: time.clock, timers: time.timers },
  });
  /** How many sessions were ordered from and to each node. */
  const totals = () => {
    const sums: Record<string, number> = {};
    for (const order of orders) {
      const [count, from, to] = order.split(' ');
      sums[`${from} ${to}`] = (sums[`${from} ${to}`] ?? 0) + Number(count);
    }
    return sums;
  };
  return { ...time, time, hold, orders, totals, carryOut };
}

test('carries out each planned move, one after the other, no session more, and ends', async () => {
  const { carryOut, pass, orders, totals, pending } = scene();
  expect(carryOut.progress()).toBeUndefined();
  const plan = [
    { from: 'a', to: 'c', count: 25 },
    { from: 'b', to: 'c', count: 10 },
  ];
  carryOut.start(plan, 100);
  expect(carryOut.progress()).toMatchObject({ state: 'moving', left: 35, rate: 100 });
  await pass(5_000);
  expect(totals()).toEqual({ 'a c': 25, 'b c': 10 });
  expect(orders.findIndex((order) => order.endsWith('b c'))).toBeGreaterThan(
    orders.findLastIndex((order) => order.endsWith('a c')),
  );
  expect(carryOut.progress()).toMatchObject({ state: 'done', moved: 35, failed: 0, left: 0 });
  expect(pending()).toBe(0);
  expect(plan[0]?.count).toBe(25); // the planner's own list is not touched
});

test('keeps the rate', async () => {
  const { carryOut, pass } = scene();
  carryOut.start([{ from: 'a', to: 'b', count: 1_000 }], 50);
  await pass(4_000);
  expect(carryOut.progress()?.moved).toBeGreaterThan(180);
  expect(carryOut.progress()?.moved).toBeLessThanOrEqual(210);
});

test('a move of which nothing can begin is left to the next plan, and the others go on', async () => {
  const { carryOut, pass, totals } = scene(({ from, count }) => (from === 'stuck' ? 0 : count));
  carryOut.start(
    [
      { from: 'stuck', to: 'b', count: 10 },
      { from: 'a', to: 'b', count: 10 },
    ],
    100,
  );
  await pass(10_000);
  expect(totals()).toEqual({ 'stuck b': 0, 'a b': 10 });
  expect(carryOut.progress()).toMatchObject({ state: 'done', moved: 10, left: 0 });
});

test('a new plan replaces the one under way', async () => {
  const { carryOut, pass, orders, totals } = scene();
  carryOut.start([{ from: 'a', to: 'b', count: 1_000 }], 100);
  await pass(1_000);
  orders.length = 0;
  carryOut.start([{ from: 'c', to: 'd', count: 5 }], 100);
  await pass(5_000);
  expect(totals()).toEqual({ 'c d': 5 });
});

test('an empty plan is done at once', async () => {
  const { carryOut, pass, orders, pending } = scene();
  carryOut.start([], 100);
  await pass(1_000);
  expect(carryOut.progress()).toMatchObject({ state: 'done', moved: 0, left: 0 });
  expect([orders, pending()]).toEqual([[], 0]);
});

test('sessions that move for another cause are not counted, and stopped is stopped', async () => {
  const { carryOut, pass, orders, pending } = scene();
  carryOut.reattached('rebalance', true, times); // of a plan that this proxy never had
  carryOut.start([{ from: 'a', to: 'b', count: 1_000 }], 100);
  carryOut.reattached('link-lost', true, times);
  carryOut.reattached('link-lost', false, times);
  expect(carryOut.progress()).toMatchObject({ moved: 0, failed: 0 });
  await pass(500);
  carryOut.stop();
  const { length } = orders;
  await pass(10_000);
  expect([orders.length, pending()]).toEqual([length, 0]);
});

test('another process carries out what is left of a plan, and no session more', async () => {
  const old = scene();
  old.carryOut.start(
    [
      { from: 'a', to: 'c', count: 25 },
      { from: 'b', to: 'c', count: 10 },
    ],
    20,
  );
  await old.pass(1_000);
  old.hold.isOn = true;
  await old.pass(100); // those under way arrive
  const { moved } = old.carryOut.progress() ?? { moved: 0 };
  expect(moved).toBeGreaterThan(10);
  const next = scene(undefined, old.time);
  next.carryOut.restore(old.carryOut.describe());
  old.carryOut.stop();
  await next.pass(5_000);
  expect(next.carryOut.progress()).toMatchObject({ state: 'done', moved: 35, left: 0, rate: 20 });
  const { 'a c': fromA = 0, 'b c': fromB = 0 } = next.totals();
  expect([(old.totals()['a c'] ?? 0) + fromA, fromB]).toEqual([25, 10]);
  expect(scene().carryOut.describe()).toBeUndefined();
});
