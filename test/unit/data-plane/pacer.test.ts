import { expect, test } from 'vitest';
import { createPacer } from '../../../src/data-plane/pacer.ts';

function stage() {
  const clock = { nowMs: 1_000 };
  return Object.assign(
    clock,
    createPacer(() => clock.nowMs),
  );
}

test('new devices go at once up to a tenth of a second’s worth, and then in turn', () => {
  const { queue } = stage();
  const waits = Array.from({ length: 14 }, () => queue(0, 100, 1_000));
  expect(waits).toEqual([...new Array(11).fill(0), 10, 20, 30]);
  expect(queue(1, 100, 1_000)).toBe(0);
});

test('a queue that is full takes nobody until one has gone', () => {
  const pacer = stage();
  const waits = Array.from({ length: 20 }, () => pacer.queue(0, 100, 3));
  expect(waits.filter((wait) => wait !== undefined)).toHaveLength(11 + 3);
  pacer.nowMs += 10;
  expect([pacer.queue(0, 100, 3), pacer.queue(0, 100, 3)]).toEqual([30, undefined]);
});
