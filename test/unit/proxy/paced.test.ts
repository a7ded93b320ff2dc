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
  for (; clock.nowMs < 10_000; clock.nowMs++) await ask();
  const mostMs = 500 + 0.1 * 10_000;
  expect(made() * 2).toBeLessThanOrEqual(mostMs + 2);
  expect(made() * 2).toBeGreaterThan(mostMs - 20);
});

test('asked by thousands at one time, it is made as often as its time allows', async () => {
  const { ask, made } = scene();
  await ask();
  await Promise.all(Array.from({ length: 5_000 }, ask));
  expect(made()).toBeLessThan(300);
});

test('who asks now and then is told what is so now, however soon behind another', async () => {
  const { ask } = scene();
  for (let i = 1; i <= 100; i++) expect(await ask()).toBe(i);
});

test('a failure is not given again', async () => {
  const { ask, state } = scene();
  state.fails = true;
  await expect(ask()).rejects.toThrow('not now');
  state.fails = false;
  expect(await ask()).toBe(2);
});
