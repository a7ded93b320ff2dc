import { expect, test } from 'vitest';
import { Restarts, STEADY_MS } from '../../../src/data-plane/restarts.ts';

function scene() {
  const time = { nowMs: 0 };
  const restarts = new Restarts({ now: () => time.nowMs });
  /** It lives for so long, and dies. */
  const dieAfter = (ms: number, thread = 0) => {
    restarts.lives(thread);
    time.nowMs += ms;
    return restarts.died(thread);
  };
  return { time, restarts, dieAfter };
}

test('each death in a row doubles the wait, up to ten seconds', () => {
  const { dieAfter, restarts } = scene();
  const waits = [1, 2, 3, 4, 5, 6, 7].map(() => dieAfter(1_000).delayMs);
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  expect(restarts.died(0)).toEqual({ deaths: 8, delayMs: 10_000, mayLeave: false }); // it did not even start
});

test('a worker that dies seldom is started again soon, however often that was', () => {
  const { dieAfter, restarts } = scene();
  for (let i = 0; i < 10; i++) expect(dieAfter(STEADY_MS)).toMatchObject({ deaths: 1, delayMs: 500 });
  expect(restarts.failing).toEqual([]);
});

test('the third death in a row is one too many, until it has lived for a while', () => {
  const { time, dieAfter, restarts } = scene();
  dieAfter(5_000);
  const second = dieAfter(5_000);
  expect([restarts.hasBegunToFail(second), restarts.failing]).toEqual([false, []]);
  const third = dieAfter(5_000);
  expect([restarts.hasBegunToFail(third), restarts.failing]).toEqual([true, [0]]);
  expect(restarts.hasBegunToFail(dieAfter(5_000))).toBe(false); // it is said once

  restarts.lives(0);
  time.nowMs += STEADY_MS - 1;
  expect([restarts.settle(0), restarts.failing]).toEqual([false, [0]]);
  time.nowMs += 1;
  expect([restarts.settle(0), restarts.failing]).toEqual([true, []]);
  expect(restarts.settle(0)).toBe(false);
});

test('workers are counted by themselves', () => {
  const { dieAfter, restarts } = scene();
  for (let i = 0; i < 2; i++) for (const thread of [0, 1]) dieAfter(1_000, thread);
  expect(restarts.failing).toEqual([]);
  dieAfter(1_000, 1);
  expect(restarts.failing).toEqual([1]);
});

test('where devices wait for the next it is started at once, as long as any go over', () => {
  const { restarts } = scene();
  expect([1, 2, 3, 4].map(() => restarts.died(0, true).delayMs)).toEqual([0, 0, 0, 4_000]);
});

test('whatever kills one thread after the other goes over three times, and then no more until one is steady', () => {
  const { dieAfter } = scene();
  expect([1, 2, 3, 4, 5].map(() => dieAfter(5_000).mayLeave)).toEqual([true, true, true, false, false]);
  expect(dieAfter(STEADY_MS).mayLeave).toBe(true);
});
