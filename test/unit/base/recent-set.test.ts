import { expect, test } from 'vitest';
import { RecentSet } from '../../../src/base/recent-set.ts';

test('a number is known for at least its time, and for at most twice that', () => {
  for (let addedAt = 1_000; addedAt < 1_100; addedAt += 10) {
    const set = new RecentSet(100, 10);
    set.add(0, 1_000);
    set.add(1, addedAt);
    expect(set.has(1, addedAt + 99)).toBe(true);
    expect(set.has(1, addedAt + 200)).toBe(false);
  }
});

test('it is known for longer where it is added again', () => {
  const set = new RecentSet(100, 10);
  for (let nowMs = 0; nowMs < 1_000; nowMs += 50) {
    set.add(1, nowMs);
    expect([set.has(1, nowMs + 49), set.has(2, nowMs)]).toEqual([true, false]);
  }
});

test('of more than may be kept the oldest are forgotten', () => {
  const set = new RecentSet(100, 10);
  for (let value = 0; value < 1_000; value++) set.add(value, 0);
  const known = Array.from({ length: 1_000 }, (_, value) => value).filter((value) => set.has(value, 0));
  expect(known.at(-1)).toBe(999);
  expect(known.length).toBeGreaterThanOrEqual(10);
  expect(known.length).toBeLessThanOrEqual(20);
});
