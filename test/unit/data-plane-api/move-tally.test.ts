import { expect, test } from 'vitest';
import { addTallies, noMoves } from '../../../src/data-plane-api/move-tally.ts';

test('tallies are added field by field', () => {
  const one = { moving: 1, later: 2, stuck: 3, ended: 4, noNode: 5 };
  const other = { moving: 10, later: 20, stuck: 30, ended: 40, noNode: 50 };
  expect(addTallies([one, other, noMoves])).toEqual({
    moving: 11,
    later: 22,
    stuck: 33,
    ended: 44,
    noNode: 55,
  });
});

test('of none there are none', () => {
  expect(addTallies([])).toEqual(noMoves);
});
