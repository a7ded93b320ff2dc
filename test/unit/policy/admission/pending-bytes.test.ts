import { expect, test } from 'vitest';
import { PendingBytes, type PendingHolder } from '../../../../src/policy/admission/pending-bytes.ts';

const FREE = 4096;

function holders(count: number) {
  const gone: number[] = [];
  const all = Array.from({ length: count }, (_, i): PendingHolder => ({ giveWay: () => gone.push(i) }));
  return { all, gone };
}

test('as much as a CONNECT usually has costs nothing, however many they are', () => {
  const { all, gone } = holders(1_000);
  const pending = new PendingBytes(0);
  for (const holder of all) pending.set(holder, FREE);
  expect(gone).toEqual([]);
});

test('the largest gives way, so that the rest stays', () => {
  const { all, gone } = holders(4);
  const [large, small, other, next] = all as [PendingHolder, PendingHolder, PendingHolder, PendingHolder];
  const pending = new PendingBytes(100_000);
  pending.set(large, FREE + 80_000);
  pending.set(small, FREE + 1_000);
  pending.set(other, FREE + 19_000);
  expect(gone).toEqual([]);
  pending.set(next, FREE + 1);
  expect(gone).toEqual([0]);
  pending.set(next, FREE + 80_000);
  expect(gone).toEqual([0]);
  pending.set(next, FREE + 80_001);
  expect(gone, 'itself, where it is the largest').toEqual([0, 3]);
});

test('what is let go counts no more', () => {
  const { all, gone } = holders(100);
  const pending = new PendingBytes(10_000);
  for (const holder of all) {
    pending.set(holder, FREE + 10_000);
    pending.set(holder, 0);
    pending.set(holder, 0);
  }
  expect(gone).toEqual([]);
});
