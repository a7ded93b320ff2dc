import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Loaded, planRebalance, shareOut, spreadOf } from '../../../src/migration/rebalance.ts';

const nodes = (...counts: readonly (readonly [count: number, weight?: number])[]): Loaded[] =>
  counts.map(([count, weight = 10], i) => ({ id: 'abcdefgh'[i] ?? `n${i}`, count, weight }));

function after(before: readonly Loaded[], tolerance: number): Loaded[] {
  const counts = new Map(before.map(({ id, count }) => [id, count]));
  for (const { from, to, count } of planRebalance(before, tolerance)) {
    counts.set(from, (counts.get(from) ?? 0) - count);
    counts.set(to, (counts.get(to) ?? 0) + count);
  }
  return before.map((node) => ({ ...node, count: counts.get(node.id) ?? 0 }));
}

test('fills a node that came back empty', () => {
  expect(planRebalance(nodes([300], [300], [0]), 0)).toEqual([
    { from: 'a', to: 'c', count: 100 },
    { from: 'b', to: 'c', count: 100 },
  ]);
});

test('moves just enough for the tolerance', () => {
  expect(planRebalance(nodes([104], [96]), 0.1)).toEqual([]);
  expect(planRebalance(nodes([110], [90]), 0.1)).toEqual([{ from: 'a', to: 'b', count: 5 }]);
});

test('weights are respected', () => {
  expect(planRebalance(nodes([90, 10], [0, 20]), 0)).toEqual([{ from: 'a', to: 'b', count: 60 }]);
});

test('what whole connections cannot even out is left', () => {
  expect(planRebalance(nodes([3], [2], [2]), 0)).toEqual([]);
  expect(planRebalance(nodes([1], [0]), 0)).toEqual([]);
  expect(planRebalance(nodes([0], [0]), 0)).toEqual([]);
  expect(planRebalance([], 0)).toEqual([]);
});

test('spread is the difference of the fullest and the emptiest, in fair shares', () => {
  expect(spreadOf(nodes([150], [50]))).toBe(1);
  expect(spreadOf(nodes([0], [0]))).toBe(0);
  expect(spreadOf([])).toBe(0);
});

const loads = fc
  .array(fc.tuple(fc.nat(300), fc.integer({ min: 1, max: 100 })), { minLength: 1, maxLength: 8 })
  .map((entries) => nodes(...entries));

test('any plan keeps every connection, and ends within tolerance or as even as whole connections can be', () => {
  fc.assert(
    fc.property(loads, fc.double({ min: 0, max: 1, noNaN: true }), (before, tolerance) => {
      const result = after(before, tolerance);
      const sum = (list: readonly Loaded[]) => list.reduce((total, { count }) => total + count, 0);
      expect(sum(result)).toBe(sum(before));
      expect(result.every(({ count }) => count >= 0)).toBe(true);
      const most = Math.max(...result.map(({ count, weight }) => (count - 1) / weight));
      const least = Math.min(...result.map(({ count, weight }) => (count + 1) / weight));
      expect(spreadOf(result) <= tolerance || most < least).toBe(true);
    }),
  );
});

test('no node both gives and takes', () => {
  fc.assert(
    fc.property(loads, (before) => {
      const plan = planRebalance(before, 0.1);
      const givers = new Set(plan.map(({ from }) => from));
      expect(plan.some(({ to }) => givers.has(to))).toBe(false);
    }),
  );
});

test('a plan is shared out by what each proxy has, and no more than that', () => {
  const moves = [
    { from: 'a', to: 'c', count: 10 },
    { from: 'b', to: 'c', count: 4 },
  ];
  expect(
    shareOut(moves, [
      [['a', 60]],
      [
        ['a', 20],
        ['b', 4],
      ],
      [],
    ]),
  ).toEqual([
    [{ from: 'a', to: 'c', count: 8 }],
    [
      { from: 'a', to: 'c', count: 2 },
      { from: 'b', to: 'c', count: 4 },
    ],
    [],
  ]);
  expect(shareOut([{ from: 'a', to: 'b', count: 5 }], [[['a', 1]], [['a', 1]]])).toEqual([
    [{ from: 'a', to: 'b', count: 1 }],
    [{ from: 'a', to: 'b', count: 1 }],
  ]);
});

test('counts that are none plan nothing, in bounded time', () => {
  expect(planRebalance(nodes([Number.NaN], [5]), 0)).toEqual([]);
  expect(planRebalance(nodes([Number.POSITIVE_INFINITY], [0]), 0)).toEqual([]);
});
