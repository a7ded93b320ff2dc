import { expect, test } from 'vitest';
import { contenders } from '../../../bench/contenders.ts';
import { expectedMs, plan } from '../../../bench/plan.ts';

const pace = { rounds: 5, warmUpMs: 800, windowMs: 700 };

test('every measure names contenders that exist', () => {
  const known = new Set(contenders.map(({ name }) => name));
  const unknown = plan(pace).flatMap(({ contenders }) => contenders.filter((name) => !known.has(name)));
  expect(unknown).toEqual([]);
});

test('no two measures, and no two contenders, have one name', () => {
  for (const names of [plan(pace).map(({ name }) => name), contenders.map(({ name }) => name)])
    expect(new Set(names).size).toBe(names.length);
});

test('the whole takes less than half an hour', () => {
  const takesPart = (name: string): boolean => !name.startsWith('engine-');
  expect(expectedMs(plan(pace), pace, takesPart) / 60_000).toBeLessThan(30);
});

test('the expected time counts every contender, round and step', () => {
  const [found] = plan(pace).filter(({ name }) => name === 'fanIn');
  if (found === undefined) throw new Error('no fanIn');
  const measure = { ...found, contenders: ['a'] };
  const one = expectedMs([{ ...measure, rounds: 1 }], pace, () => true);
  expect(expectedMs([{ ...measure, contenders: ['a', 'b'] }], pace, () => true)).toBe(10 * one);
  const settings = { ...measure.settings, steps: [1, 2] };
  expect(expectedMs([{ ...measure, rounds: 1, settings }], pace, () => true)).toBe(one + 1500);
  expect(expectedMs([measure], pace, () => false)).toBe(0);
});
