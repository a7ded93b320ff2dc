import { expect, test } from 'vitest';
import { paced } from '../../../src/proxy/paced.ts';

function scene() {
  let made = 0;
  const clock = { nowMs: 0, now: () => clock.nowMs };
  const state = { fails: false };
  const ask = paced(async () => {
    made++;
    clock.nowMs += 2;
    if (state.fails) throw new Error('not now');
    return made;
  }, clock);
  return { ask, clock, state, made: () => made };
}

test('asked all the time, it is made a tenth of the time', async () => {
  const { ask, clock, made } = scene();
  for (; clock.nowMs < 1_000; clock.nowMs++) await ask();
  expect(made()).toBeLessThanOrEqual(51); // 2 ms each, of 1,000
  expect(made()).toBeGreaterThan(40);
});

test('who asks at one time is given one answer, and who asks seldom a new one', async () => {
  const { ask, clock } = scene();
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([1, 1, 1]);
  clock.nowMs += 18;
  expect(await ask()).toBe(2);
});

test('a failure is not given again', async () => {
  const { ask, state } = scene();
  state.fails = true;
  await expect(ask()).rejects.toThrow('not now');
  state.fails = false;
  expect(await ask()).toBe(2);
});
