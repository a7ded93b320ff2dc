import { expect, test } from 'vitest';
import { PROBATION_MS, Probation } from '../../../src/data-plane/probation.ts';

test('lasts two seconds from the last that was taken over, and has nobody else', () => {
  let nowMs = 0;
  const probation = new Probation<object>(() => nowMs);
  const [first, second, later, own] = [{}, {}, {}, {}] as const;
  probation.add(first);
  nowMs = PROBATION_MS - 1;
  probation.add(second);
  nowMs += PROBATION_MS - 1;
  expect([first, second, own].map((each) => probation.has(each))).toEqual([true, true, false]);
  nowMs += 1;
  expect([first, second].map((each) => probation.has(each))).toEqual([false, false]);
  probation.add(later);
  expect([first, later].map((each) => probation.has(each))).toEqual([false, true]);
});
