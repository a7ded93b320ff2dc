import { describe, expect, test } from 'vitest';
import { type StrategyName, strategies } from '../../../../src/policy/balance/index.ts';
import { deviceKey, first, idle, nodesOf, order, placements, tally, worstDeviation } from './support.ts';

describe.each(Object.keys(strategies) as StrategyName[])('%s', (name) => {
  const strategy = strategies[name];

  test('yields every slot exactly once, for any number of nodes', () => {
    for (let count = 0; count <= 9; count++) {
      const set = nodesOf(...Array.from({ length: count }, (_, i) => 1 + i * 11));
      const selection = strategy(set, idle());
      for (let i = 0; i < 20; i++) {
        expect(order(selection, deviceKey(i)).sort()).toEqual(set.map(({ slot }) => slot));
      }
    }
  });

  test('yields nothing from an empty set, however often it is asked', () => {
    const iterator = strategy([], idle()).candidates(deviceKey(0));
    expect([iterator.next(), iterator.next()]).toEqual(Array(2).fill({ done: true, value: undefined }));
  });

  test('stays exhausted after the last candidate', () => {
    const iterator = strategy(nodesOf(1), idle()).candidates(deviceKey(0));
    expect([iterator.next().value, iterator.next().done, iterator.next().done]).toEqual([10, true, true]);
  });

  test('gives each node its share by weight, within 4 standard deviations', () => {
    const set = nodesOf(10, 20, 30, 100);
    const counts = tally(placements(strategy(set, idle()), 20_000));
    expect(worstDeviation(set, counts)).toBeLessThan(4);
  });

  test('gives a set that is rebuilt for every pick its shares too', () => {
    const set = nodesOf(1, 9);
    const context = idle(7);
    const picks = Array.from({ length: 5000 }, (_, i) => first(strategy(set, context), deviceKey(i)));
    expect(worstDeviation(set, tally(picks))).toBeLessThan(4);
  });
});
