import { expect, test } from 'vitest';
import type { DepartureProgress } from '../../../src/migration/departure.ts';
import { ProxyDepartures } from '../../../src/migration/proxy-departures.ts';
import { fakeTime } from '../../support/fake-time.ts';

/** A proxy with so many devices; `comesBack` says which part of those that left is there again at once. */
function scene(devices: number, comesBack = 0, time = fakeTime()) {
  const proxy = { devices, noted: 0, number: 0 };
  const left: { readonly atMs: number; readonly count: number; readonly reason: string }[] = [];
  const told: [string, DepartureProgress][] = [];
  const phase = { isDraining: false };
  const hold = { isOn: false };
  const departures = new ProxyDepartures({
    async dismiss(departure, count, reason) {
      if (departure !== proxy.number) Object.assign(proxy, { number: departure, noted: proxy.devices });
      const ended = Math.min(count, proxy.noted);
      proxy.noted -= ended;
      proxy.devices -= Math.ceil(ended * (1 - comesBack));
      if (ended > 0) left.push({ atMs: time.clock.now(), count: ended, reason });
      return { ended, left: proxy.noted };
    },
    devices: () => proxy.devices,
    phase,
    isHeld: () => hold.isOn,
    onState: () => {},
    onProgress: (kind, progress) => told.push([kind, progress]),
    ...{ clock: time.clock, timers: time.timers },
  });
  /** Devices that left in each of so many seconds from now on. */
  const perSecond = async (seconds: number): Promise<number[]> => {
    const counts: number[] = [];
    for (let i = 0; i < seconds; i++) {
      const before = left.length;
      await time.pass(1_000);
      counts.push(left.slice(before).reduce((sum, { count }) => sum + count, 0));
    }
    return counts;
  };
  return { ...time, time, proxy, left, told, phase, hold, departures, perSecond };
}

test('a drain waits for its delay, and then lets devices go at the rate', async () => {
  const { phase, departures, perSecond, told } = scene(250);
  departures.drain({ rate: 100, delay: 2 });
  expect([phase.isDraining, departures.progress('drain')]).toMatchObject([
    true,
    { state: 'waiting', left: 250 },
  ]);
  const counts = await perSecond(6);
  expect(counts[0]).toBe(0);
  expect(Math.max(...counts)).toBeLessThanOrEqual(110);
  expect(departures.progress('drain')).toMatchObject({ state: 'done', moved: 250, left: 0 });
  expect(told.at(-1)).toMatchObject(['drain', { state: 'done', moved: 250 }]);
});

test('with `within` the rate follows from the devices that are there', async () => {
  const { departures, perSecond } = scene(1_000);
  departures.drain({ within: 10, delay: 0 });
  const counts = await perSecond(10);
  expect(Math.max(...counts)).toBeLessThanOrEqual(110);
  expect(Math.min(...counts.slice(0, 9))).toBeGreaterThanOrEqual(90);
});

test('who comes to a drained proxy stays for half a minute, and then leaves too', async () => {
  const { proxy, departures, pass } = scene(10);
  departures.drain({ rate: 100, delay: 0 });
  await pass(2_000);
  proxy.devices += 5;
  await pass(20_000);
  expect(proxy.devices).toBe(5);
  await pass(10_000);
  expect([proxy.devices, departures.progress('drain')]).toMatchObject([0, { state: 'done', moved: 15 }]);
});

test('another rate holds for the drain under way; enabling ends it', async () => {
  const { phase, proxy, departures, pass, pending } = scene(1_000);
  departures.drain({ rate: 10, delay: 0 });
  await pass(2_000);
  const slow = proxy.devices;
  expect(slow).toBeGreaterThan(975);
  departures.drain({ rate: 200, delay: 60 });
  await pass(2_000);
  expect(slow - proxy.devices).toBeGreaterThan(350);
  departures.enable();
  const rest = proxy.devices;
  await pass(5_000);
  expect([phase.isDraining, proxy.devices, pending(), departures.progress('drain')]).toEqual([
    false,
    rest,
    0,
    undefined,
  ]);
});

test('a share is never more than what was asked for, and ends by itself', async () => {
  const { proxy, departures, pass, pending, left } = scene(500);
  departures.share({ count: 137, rate: 50 });
  await pass(10_000);
  expect([proxy.devices, pending()]).toEqual([363, 0]);
  expect(departures.progress('rebalance')).toMatchObject({ state: 'done', moved: 137, left: 0 });
  expect(left[0]?.reason).toBe('proxy-rebalance');
});

test('a share is given up where those that leave come back here', async () => {
  const { departures, pass, pending } = scene(10_000, 0.9);
  departures.share({ count: 5_000, rate: 100 });
  await pass(20_000);
  const progress = departures.progress('rebalance');
  expect([progress?.state, pending()]).toEqual(['blocked', 0]);
  expect(progress?.moved).toBeLessThan(400);
});

test('a proxy that is drained has no share in a rebalance', async () => {
  const { departures, pass, left } = scene(100);
  departures.drain({ rate: 1, delay: 600 });
  departures.share({ count: 50, rate: 50 });
  await pass(10_000);
  expect(left).toEqual([]);
});

test('at the end as many leave in the first second as in the last, and what is under way else is stopped', async () => {
  const { departures, pass, left } = scene(5_000);
  departures.drain({ rate: 1, delay: 60 });
  for (let tick = 0; tick <= 100; tick++) {
    await departures.end(100 / (10_000 - 100 * tick + 100));
    await pass(100);
  }
  expect(left.reduce((sum, { count }) => sum + count, 0)).toBe(5_000);
  for (let second = 0; second < 10; second++) {
    const ofSecond = left.filter(({ atMs }) => Math.floor(atMs / 1_000) === second);
    expect(
      ofSecond.reduce((sum, { count }) => sum + count, 0),
      `second ${second}`,
    ).toBeGreaterThan(450);
  }
  expect(left.every(({ reason }) => reason === 'shutdown')).toBe(true);
});

test('another process goes on with a drain at its rate and counts, when it may', async () => {
  const old = scene(1_000);
  old.departures.drain({ rate: 50, delay: 1 });
  await old.pass(5_000);
  const { moved } = old.departures.progress('drain') ?? { moved: 0 };
  expect(moved).toBeGreaterThan(150);
  const next = scene(1_000 - moved, 0, old.time);
  next.hold.isOn = true;
  next.departures.restore(old.departures.describe());
  old.departures.stop();
  await next.pass(5_000);
  expect([next.phase.isDraining, next.proxy.devices]).toEqual([true, 1_000 - moved]);
  next.hold.isOn = false;
  const counts = await next.perSecond(5);
  expect(Math.max(...counts)).toBeLessThanOrEqual(55);
  const progress = next.departures.progress('drain');
  expect(progress).toMatchObject({ state: 'moving', rate: 50, left: next.proxy.devices });
  expect(progress?.moved).toBe(1_000 - next.proxy.devices);
});

test('devices that came late to a drained proxy stay their half minute behind an upgrade too', async () => {
  const old = scene(10);
  old.departures.drain({ rate: 100, delay: 0 });
  await old.pass(2_000);
  const next = scene(5, 0, old.time);
  next.departures.restore(old.departures.describe());
  old.departures.stop();
  await next.pass(29_000);
  expect(next.proxy.devices).toBe(5);
  await next.pass(2_000);
  expect([next.proxy.devices, next.departures.progress('drain')?.moved]).toEqual([0, 15]);
});

test('another process lets no more go of a share than are left of it, and tells of one that is through', async () => {
  const old = scene(500);
  old.departures.share({ count: 137, rate: 50 });
  await old.pass(1_000);
  const next = scene(old.proxy.devices, 0, old.time);
  next.departures.restore(old.departures.describe());
  old.departures.stop();
  await next.pass(10_000);
  expect([next.proxy.devices, next.pending()]).toEqual([363, 0]);
  const third = scene(363, 0, old.time);
  third.departures.restore(next.departures.describe());
  expect(third.departures.progress('rebalance')).toMatchObject({ state: 'done', moved: 137, left: 0 });
  expect(third.pending()).toBe(0);
});

test('who comes back while the proxy ends stays until the end, also where a drain was under way', async () => {
  const time = fakeTime();
  const orders: [number: number, count: number][] = [];
  const answers: (() => void)[] = [];
  const departures = new ProxyDepartures({
    dismiss: (departure, count) =>
      new Promise((resolve) => {
        orders.push([departure, count]);
        answers.push(() => resolve({ ended: count, left: 10 }));
      }),
    devices: () => 10,
    phase: { isDraining: false },
    ...{ isHeld: () => false, onState: () => {}, onProgress: () => {} },
    ...{ clock: time.clock, timers: time.timers },
  });
  departures.drain({ rate: 10, delay: 0 });
  await time.pass(0);
  const ended = departures.end(0.5);
  for (const answer of answers.splice(0)) answer(); // the drain hears only now that its devices are noted
  await time.pass(0);
  for (let i = 0; i < 3; i++) {
    for (const answer of answers.splice(0)) answer();
    await time.pass(1_000);
  }
  await ended;
  expect(orders).toEqual([
    [1, 0],
    [2, 0],
    [2, 5],
  ]);
});

test('who came back leaves in turn with all others as soon as another proxy takes devices', async () => {
  const { proxy, departures } = scene(100);
  await departures.end(0.5);
  proxy.devices += 30;
  expect(proxy.devices).toBe(80);
  for (let i = 0; i < 100; i++) await departures.end(0.2);
  expect(proxy.devices).toBe(31); // all but the last of those that were there
  departures.anew();
  for (let i = 0; i < 100; i++) await departures.end(0.2);
  expect(proxy.devices).toBe(1);
});
