import { expect, test } from 'vitest';
import { randomFrom } from '../../../../bench/random.ts';
import { leastConnections } from '../../../../src/policy/balance/least-connections.ts';
import { deviceKey, first, idle, nodesOf, order, tally, worstDeviation } from './support.ts';

const counting = (counts: number[]) => ({
  connections: (slot: number) => counts[slot - 10] ?? 0,
  random: randomFrom(3),
});

test('orders by connections over weight', () => {
  expect(order(leastConnections(nodesOf(10, 20, 10, 1), counting([30, 40, 10, 9])))).toEqual([
    12, 11, 10, 13,
  ]);
});

test('reads the counts at the moment of each pick, retries too', () => {
  const counts = [0, 1, 2];
  const selection = leastConnections(nodesOf(10, 10, 10), counting(counts));
  expect(first(selection)).toBe(10);
  counts[0] = 5;
  expect(first(selection)).toBe(11);
  const candidates = selection.candidates(deviceKey(0));
  expect(candidates.next().value).toBe(11);
  counts[2] = 9;
  expect(candidates.next().value).toBe(10);
});

test('breaks ties at random, by weight', () => {
  const set = nodesOf(5, 10, 15);
  const selection = leastConnections(set, idle());
  const picks = Array.from({ length: 6000 }, () => first(selection));
  expect(worstDeviation(set, tally(picks))).toBeLessThan(4);
});

test('600 connections that stay spread exactly by weight', () => {
  const counts = [0, 0, 0];
  const selection = leastConnections(nodesOf(10, 20, 30), counting(counts));
  for (let i = 0; i < 600; i++) {
    const index = Number(first(selection)) - 10;
    counts[index] = (counts[index] ?? 0) + 1;
  }
  expect(counts).toEqual([100, 200, 300]);
});
