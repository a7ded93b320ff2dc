import { expect, test } from 'vitest';
import { roundRobin } from '../../../../src/policy/balance/round-robin.ts';
import { first, idle, nodesOf, placements, tally } from './support.ts';

test('weights 5, 1, 1 come in the smooth order of nginx', () => {
  // A draw of 0.99 keeps the heaviest node as the first pick.
  const selection = roundRobin(nodesOf(5, 1, 1), { connections: () => 0, random: () => 0.99 });
  const names = placements(selection, 14).map((slot) => 'abc'[Number(slot) - 10]);
  expect(names.join('')).toBe('aabacaaaabacaa');
});

test('any whole cycle is exact, whichever node came first', () => {
  for (let seed = 0; seed < 50; seed++) {
    const counts = tally(placements(roundRobin(nodesOf(5, 3, 1), idle(seed)), 90));
    expect([10, 11, 12].map((slot) => counts.get(slot))).toEqual([50, 30, 10]);
  }
});

test('a node that refuses everything leaves its devices to the others by their weights', () => {
  const selection = roundRobin(nodesOf(10, 20, 10), idle());
  const served = Array.from({ length: 4000 }, () => {
    const candidates = selection.candidates({ clientId: '', sourceAddress: '' });
    const choice = candidates.next().value;
    return choice === 10 ? candidates.next().value : choice;
  });
  const counts = tally(served);
  expect(Number(counts.get(11)) / Number(counts.get(12))).toBeCloseTo(2, 1);
});

test('a choice that nobody asks for costs no turn', () => {
  const selection = roundRobin(nodesOf(1, 1), idle());
  const before = first(selection);
  selection.candidates({ clientId: '', sourceAddress: '' });
  expect(first(selection)).not.toBe(before);
});
