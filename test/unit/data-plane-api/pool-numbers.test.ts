import { expect, test } from 'vitest';
import { PoolNumbers } from '../../../src/data-plane-api/pool-numbers.ts';

const named = (...names: string[]) => names.map((name) => ({ name }));
const arranged = (numbers: PoolNumbers, ...names: string[]) =>
  numbers.arrange(named(...names)).map((pool) => pool?.name);

test('a pool keeps its number, whatever comes and goes, and no other ever has it', () => {
  const numbers = new PoolNumbers();
  expect(arranged(numbers, 'a', 'b', 'c')).toEqual(['a', 'b', 'c']);
  expect(arranged(numbers, 'c', 'd', 'a')).toEqual(['a', undefined, 'c', 'd']);
  expect(numbers.of('e')).toBe(4);
  expect(numbers.of('b')).toBe(1);
  expect(arranged(numbers, 'b')).toEqual([undefined, 'b', undefined, undefined, undefined]);
});
