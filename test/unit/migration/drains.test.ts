import { expect, test } from 'vitest';
import { DEFAULT_DRAIN_RATE, Drains } from '../../../src/migration/drains.ts';
import type { MoverProgress } from '../../../src/migration/mover.ts';
import { NodeTable } from '../../../src/nodes/table.ts';
import { fakeTime } from '../../support/fake-time.ts';

const times = { durationMs: 20, connackMs: 5 };

/** Nodes with so many sessions each; what is ordered away leaves 20 ms later, unless no node takes it. */
function scene(
  sessions: Readonly<Record<string, number>>,
  { proxies = 1, takes = true, time = fakeTime() } = {},
) {
  const live = new Map(Object.entries(sessions));
  const orders: { readonly from: string; readonly cause: string; readonly count: number }[] = [];
  const hold = { isOn: false };
  const told: (readonly [string, MoverProgress['state']])[] = [];
  const drains = new Drains({
    liveAt: (id) => live.get(id) ?? 0,
    async move(from, most, cause) {
      const count = Math.min(most, live.get(from) ?? 0);
      orders.push({ from, cause, count });
      const one = () => {
        if (takes) live.set(from, (live.get(from) ?? 0) - 1);
        drains.reattached(from, cause, takes, times);
      };
      for (let i = 0; i < count; i++) time.timers.setTimeout(one, 20);
      return { moving: count, later: 0, stuck: 0, ended: 0, noNode: 0 };
    },
    proxies: () => proxies,
    isHeld: () => hold.isOn,
    onProgress: ({ id }, { state }) => told.push([id, state]),
    ...{ clock: time.clock, timers: time.timers },
  });
  const nodes = new NodeTable();
  nodes.onChange((change) => drains.changed(change));
  for (const id of Object.keys(sessions))
    nodes.put({ id, pool: 'default', url: `mqtt://${id}:1883`, weight: 10, source: 'config' });
  return { ...time, time, live, orders, told, hold, drains, nodes };
}

test('a node that is drained is emptied, the others are left alone, and the end is told', async () => {
  const { nodes, drains, pass, live, orders, told } = scene({ a: 30, b: 30 });
  expect(drains.progress('a')).toBeUndefined();
  nodes.setState('a', 'draining');
  expect(drains.progress('a')).toMatchObject({ state: 'moving', left: 30, rate: DEFAULT_DRAIN_RATE });
  await pass(3_000);
  expect(Object.fromEntries(live)).toEqual({ a: 0, b: 30 });
  expect(new Set(orders.map(({ from, cause }) => `${from} ${cause}`))).toEqual(new Set(['a drain']));
  expect(drains.progress('a')).toMatchObject({ state: 'done', moved: 30, failed: 0, left: 0 });
  expect(told.at(-1)).toEqual(['a', 'done']);
});

test.each(['enabled', 'disabled'] as const)('a drain ends when the node is %s', async (state) => {
  const { nodes, drains, pass, live, pending } = scene({ a: 500 });
  nodes.setState('a', 'draining');
  await pass(1_000);
  nodes.setState('a', state);
  await pass(100); // those under way arrive
  const left = live.get('a');
  expect(left).toBeGreaterThan(300);
  await pass(10_000);
  expect([drains.progress('a'), live.get('a'), pending()]).toEqual([undefined, left, 0]);
});

test('a removed node is left too, and then nothing of it is kept', async () => {
  const { nodes, drains, pass, live, orders, told, pending } = scene({ a: 10, empty: 0 });
  nodes.remove('a');
  nodes.remove('empty');
  expect(drains.progress('empty')).toBeUndefined();
  expect(drains.progress('a')).toMatchObject({ state: 'moving', left: 10 });
  await pass(3_000);
  expect([live.get('a'), drains.progress('a'), pending()]).toEqual([0, undefined, 0]);
  expect(new Set(orders.map(({ cause }) => cause))).toEqual(new Set(['removed']));
  expect(told.at(-1)).toEqual(['a', 'done']);
});

test('a node that is removed while it is drained goes on by the cause that holds', async () => {
  const { nodes, pass, live, orders } = scene({ a: 200 });
  nodes.setState('a', 'draining');
  await pass(500);
  const before = orders.length;
  nodes.remove('a');
  await pass(5_000);
  expect(live.get('a')).toBe(0);
  expect(new Set(orders.slice(0, before).map(({ cause }) => cause))).toEqual(new Set(['drain']));
  expect(new Set(orders.slice(before).map(({ cause }) => cause))).toEqual(new Set(['removed']));
});

test('a change of the weight does not begin the drain anew', async () => {
  const { nodes, drains, pass } = scene({ a: 300 });
  nodes.setState('a', 'draining');
  await pass(1_000);
  const moved = drains.progress('a')?.moved ?? 0;
  nodes.setWeight('a', 20);
  expect(drains.progress('a')?.moved).toBe(moved);
  expect(moved).toBeGreaterThan(0);
});

test('the rate is shared with the other proxies; one that is asked for holds for this drain and not the next', async () => {
  const { nodes, drains } = scene({ a: 1_000 }, { proxies: 4 });
  drains.setRate('a', 200);
  nodes.setState('a', 'draining');
  expect(drains.progress('a')?.rate).toBe(50);
  drains.setRate('a', 40);
  expect(drains.progress('a')?.rate).toBe(10);
  nodes.setState('a', 'enabled');
  nodes.setState('a', 'draining');
  expect(drains.progress('a')?.rate).toBe(DEFAULT_DRAIN_RATE / 4);
});

test('where no node takes a session the drain is blocked, counts what failed, and goes on trying', async () => {
  const { nodes, drains, pass, pending } = scene({ a: 5 }, { takes: false });
  nodes.setState('a', 'draining');
  await pass(30_000);
  const { state, failed = 0, left } = drains.progress('a') ?? {};
  expect({ state, left }).toEqual({ state: 'blocked', left: 5 });
  await pass(30_000);
  expect(drains.progress('a')?.failed).toBeGreaterThan(failed);
  expect(pending()).toBeGreaterThan(0);
  drains.stop();
  expect([drains.progress('a'), pending()]).toEqual([undefined, 0]);
});

test('a session that leaves the node for another cause is counted as moved', async () => {
  const { nodes, drains, live } = scene({ a: 5 });
  nodes.setState('a', 'draining');
  live.set('a', 4);
  drains.reattached('a', 'link-lost', true, times);
  expect(drains.progress('a')).toMatchObject({ moved: 1, left: 4 });
  drains.reattached('b', 'link-lost', true, times);
  expect(drains.progress('b')).toBeUndefined();
});

test('another process goes on with drains at their rates and counts, when it may', async () => {
  const old = scene({ a: 400, b: 10 });
  old.drains.setRate('a', 40);
  old.drains.setRate('b', 7); // of a drain that is to come
  old.nodes.setState('a', 'draining');
  await old.pass(3_000);
  old.hold.isOn = true;
  await old.pass(100); // those under way arrive
  const { moved } = old.drains.progress('a') ?? { moved: 0 };
  expect(moved).toBeGreaterThan(100);
  const next = scene({ a: 400 - moved, b: 10 }, { time: old.time });
  next.hold.isOn = true;
  next.nodes.setState('a', 'draining');
  await next.pass(1_000);
  next.drains.restore(old.drains.describe());
  old.drains.stop();
  await next.pass(1_000);
  expect([next.live.get('a'), next.told]).toEqual([400 - moved, []]);
  next.hold.isOn = false;
  await next.pass(2_000);
  const progress = next.drains.progress('a');
  expect(progress).toMatchObject({ state: 'moving', rate: 40, moved: 400 - (next.live.get('a') ?? 0) });
  expect(progress?.moved).toBeLessThanOrEqual(moved + 90);
  next.nodes.setState('b', 'draining');
  expect(next.drains.progress('b')).toMatchObject({ rate: 7, moved: 0 });
});

test('what an older process has counted of a drain is forgotten with the drain', async () => {
  const { nodes, drains, pass } = scene({ a: 30 });
  drains.restore([{ node: 'a', rate: 10, moved: 5, failed: 2 }]);
  nodes.setState('a', 'draining');
  expect(drains.progress('a')).toMatchObject({ rate: 10, moved: 5, failed: 2 });
  nodes.setState('a', 'enabled');
  nodes.setState('a', 'draining');
  expect(drains.progress('a')).toMatchObject({ rate: DEFAULT_DRAIN_RATE, moved: 0, failed: 0 });
  await pass(0);
});
