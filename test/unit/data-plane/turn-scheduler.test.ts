import { expect, test } from 'vitest';
import { createTurnScheduler } from '../../../src/data-plane/turn-scheduler.ts';

function stage() {
  const clock = { nowMs: 1_000 };
  return Object.assign(
    clock,
    createTurnScheduler(() => clock.nowMs),
  );
}

test('new devices go at once up to a tenth of a second’s worth, and then in turn', () => {
  const { queue } = stage();
  const waits = Array.from({ length: 14 }, () => queue(0, 100, 1_000));
  expect(waits).toEqual([...new Array(11).fill(0), 10, 20, 30]);
  expect(queue(1, 100, 1_000)).toBe(0);
});

test('a queue that is full takes nobody until one has gone', () => {
  const scheduler = stage();
  const waits = Array.from({ length: 20 }, () => scheduler.queue(0, 100, 3));
  expect(waits.filter((wait) => wait !== undefined)).toHaveLength(11 + 3);
  scheduler.nowMs += 10;
  expect([scheduler.queue(0, 100, 3), scheduler.queue(0, 100, 3)]).toEqual([30, undefined]);
});
