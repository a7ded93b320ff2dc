import { expect, test } from 'vitest';
import { Mover, type MoverOptions, type MoverProgress } from '../../../src/migration/mover.ts';
import { fakeTime } from '../../support/fake-time.ts';

const quick = { durationMs: 20, connackMs: 5 };
const tally = { moving: 0, later: 0, stuck: 0, ended: 0, noNode: 0 };

/** A node with so many sessions, of which `relayed` cannot be moved; what is ordered away leaves after `tookMs`. */
function open(
  { sessions = 0, relayed = 0, tookMs = 20, takes = true, ...more } = {},
  options: Partial<MoverOptions> = {},
) {
  const time = fakeTime();
  const node = { sessions, relayed, takes };
  const orders: { atMs: number; count: number }[] = [];
  const told: MoverProgress[] = [];
  let underWay = 0;
  const mover = new Mover({
    next: () => ({ from: 'a', count: Number.POSITIVE_INFINITY }),
    left: () => node.sessions + node.relayed,
    async move({ count }) {
      const movable = Math.min(count, node.sessions - underWay);
      orders.push({ atMs: time.clock.now(), count: movable });
      if (!node.takes) {
        for (let i = 0; i < movable; i++) time.timers.setTimeout(() => mover.ended(false, true, quick), 1);
        return { ...tally, noNode: movable, stuck: node.relayed };
      }
      underWay += movable;
      for (let i = 0; i < movable; i++) {
        time.timers.setTimeout(() => {
          underWay--;
          node.sessions--;
          mover.ended(true, true, { durationMs: tookMs, connackMs: Math.min(5, tookMs) });
        }, tookMs);
      }
      return { ...tally, moving: movable, stuck: node.relayed };
    },
    rate: 100,
    isHeld: () => false,
    onProgress: (progress) => told.push(progress),
    once: false,
    clock: time.clock,
    timers: time.timers,
    ...more,
    ...options,
  });
  return { ...time, node, orders, told, mover };
}

test('empties a node at its rate, a few at a time, and tells how far it is', async () => {
  const { pass, orders, mover, told } = open({ sessions: 250 });
  await pass(1_000);
  const { moved, left, state, rate, pace } = mover.progress();
  expect(moved).toBeGreaterThan(90);
  expect(moved).toBeLessThanOrEqual(110);
  expect({ left, state, rate }).toEqual({ left: 250 - moved, state: 'moving', rate: 100 });
  expect(Math.max(...orders.map(({ count }) => count))).toBeLessThanOrEqual(10);
  await pass(500);
  expect(mover.progress().pace).toBeGreaterThan(80);
  expect(pace).toBeLessThanOrEqual(110);
  await pass(2_000);
  expect(mover.progress()).toMatchObject({ state: 'done', moved: 250, failed: 0, left: 0 });
  expect(told.at(-1)).toMatchObject({ state: 'done', moved: 250 });
  expect(told.filter((progress) => progress.state === 'moving').length).toBeLessThanOrEqual(4);
});

test('has never more under way than go in a second', async () => {
  const { pass, orders } = open({ sessions: 1_000, tookMs: 60_000 });
  await pass(20_000);
  expect(orders.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(100);
});

test('where nodes answer slowly few are under way at a time, and more again when they are quick', async () => {
  const node = { takesMs: 20 };
  let underWay = 0;
  let most = 0;
  const { pass, mover, clock, timers } = open(
    { sessions: 10_000 },
    {
      async move({ count }) {
        underWay += count;
        most = Math.max(most, underWay);
        const { takesMs } = node;
        for (let i = 0; i < count; i++)
          timers.setTimeout(() => {
            underWay--;
            mover.ended(true, true, { durationMs: takesMs, connackMs: takesMs });
          }, takesMs);
        return { ...tally, moving: count };
      },
    },
  );
  await pass(1_000);
  node.takesMs = 2_000;
  await pass(6_000);
  most = 0;
  const before = { moved: mover.progress().moved, atMs: clock.now() };
  await pass(20_000);
  expect(most).toBe(4);
  expect(mover.progress().moved - before.moved).toBeGreaterThanOrEqual(36);
  node.takesMs = 20;
  await pass(4_000);
  const quick = mover.progress().moved;
  await pass(1_000);
  expect(mover.progress().moved - quick).toBeGreaterThan(90);
});

test('devices that leave in the middle of their moves do not hold up the others', async () => {
  let gone = 0;
  const { pass, mover, timers } = open(
    { sessions: 10_000 },
    {
      async move({ count }) {
        for (let i = 0; i < count; i++)
          if (++gone > 10) timers.setTimeout(() => mover.ended(true, true, quick), 20);
        return { ...tally, moving: count };
      },
    },
  );
  await pass(10_000);
  expect(mover.progress().moved).toBeGreaterThan(300);
});

test('a rate that is changed holds at once', async () => {
  const { pass, mover } = open({ sessions: 1_000 });
  await pass(1_000);
  mover.setRate(500);
  await pass(1_000);
  expect(mover.progress().moved).toBeGreaterThan(500);
});

test('slow rates are kept too', async () => {
  const { pass, mover } = open({ sessions: 100 }, { rate: 2 });
  await pass(10_000);
  expect(mover.progress().moved).toBeGreaterThanOrEqual(19);
  expect(mover.progress().moved).toBeLessThanOrEqual(22);
});

test('relayed connections stay: it is blocked when only they are left, and done when they have gone', async () => {
  const { pass, mover, node, told } = open({ sessions: 20, relayed: 3 });
  await pass(20_000);
  expect(mover.progress()).toMatchObject({ state: 'blocked', moved: 20, left: 3, stays: 3 });
  node.relayed = 0;
  await pass(6_000);
  expect(mover.progress().state).toBe('done');
  expect(told.map(({ state }) => state).slice(-2)).toEqual(['blocked', 'done']);
});

test('where no node takes a session it is tried less and less, one at a time, and goes on when one does', async () => {
  const { pass, mover, node, orders } = open({ sessions: 50, takes: false });
  await pass(60_000);
  expect(mover.progress()).toMatchObject({ state: 'blocked', moved: 0, left: 50 });
  expect(mover.progress().failed).toBeLessThan(40);
  expect(orders.slice(2).every(({ count }) => count === 1)).toBe(true);
  node.takes = true;
  await pass(10_000);
  expect(mover.progress()).toMatchObject({ state: 'done', moved: 50, left: 0 });
});

test('a device that leaves in the middle of its move does not hold up the end', async () => {
  const time = open({ sessions: 5, tookMs: 1e9 });
  await time.pass(1_000);
  time.node.sessions = 0;
  await time.pass(5_000);
  expect(time.mover.progress()).toMatchObject({ state: 'done', moved: 0, left: 0 });
});

test('ends that come before their begin are counted once', async () => {
  const { pass, mover, node } = open(
    { sessions: 5 },
    {
      async move() {
        mover.ended(true, true, quick);
        mover.ended(true, true, quick);
        node.sessions -= 2;
        return { ...tally, moving: 2 };
      },
    },
  );
  await pass(2_000);
  node.sessions = 0;
  await pass(1_000);
  expect(mover.progress().state).toBe('done');
});

test('devices that had to be disconnected are failures, and no reason to slow down', async () => {
  const { pass, mover, node } = open(
    { sessions: 30 },
    {
      async move({ count }) {
        const ended = Math.min(count, node.sessions);
        node.sessions -= ended;
        return { ...tally, ended };
      },
    },
  );
  await pass(1_500);
  expect(mover.progress()).toMatchObject({ state: 'done', moved: 0, failed: 30 });
});

test('a data thread that dies is waited for', async () => {
  let calls = 0;
  const { pass, mover } = open(
    { sessions: 5 },
    { move: async () => Promise.reject(new Error(String(++calls))) },
  );
  await pass(2_000);
  expect(calls).toBeGreaterThan(2);
  expect(mover.progress().state).toBe('moving');
});

test('stopped is stopped; one that is to run once ends by itself', async () => {
  const stopped = open({ sessions: 50 });
  await stopped.pass(200);
  stopped.mover.stop();
  await stopped.pass(10_000);
  expect(stopped.orders.length).toBeLessThan(5);
  const once = open({ sessions: 5 }, { once: true });
  await once.pass(10_000);
  expect(once.mover.progress()).toMatchObject({ state: 'done', moved: 5 });
  expect(once.pending()).toBe(0);
});
