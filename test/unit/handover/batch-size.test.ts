import { expect, test } from 'vitest';
import { FIRST_BATCH, nextBatchSize } from '../../../src/handover/batch-size.ts';

function sizes(times: readonly number[]): number[] {
  let size = FIRST_BATCH;
  return times.map((tookMs) => {
    size = nextBatchSize(size, tookMs);
    return size;
  });
}

test('batches grow while they are quick, up to a bound', () => {
  expect(sizes([5, 5, 5, 5, 5, 5, 5, 5])).toEqual([2, 4, 8, 16, 32, 64, 64, 64]);
});

test('they grow at the start though the first ones take long', () => {
  expect(sizes([300, 100, 50, 30, 30])).toEqual([2, 4, 8, 16, 16]);
});

test('a slow one makes the next smaller, but never so small that it goes on for ever', () => {
  expect(sizes([5, 5, 5, 5, 5, 5, 40, 40, 40, 5])).toEqual([2, 4, 8, 16, 32, 64, 32, 16, 16, 32]);
});
