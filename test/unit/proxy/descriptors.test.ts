import { beforeEach, expect, test } from 'vitest';
import type { Log } from '../../../src/base/log.ts';
import { createDescriptorBound } from '../../../src/proxy/descriptors.ts';

let told: Record<string, unknown>[];
const log = { warn: (fields: Record<string, unknown>) => void told.push(fields) } as unknown as Log;
const use = () => ({ threads: 2, listeners: 1, nodes: 3 });

beforeEach(() => {
  told = [];
});

test('limits that fit are as they were', () => {
  expect(createDescriptorBound(log, use, 10_000).bound({ maxConnections: 1000 })).toEqual({
    maxConnections: 1000,
  });
  expect(told).toEqual([]);
});

test('where descriptors are too few there are fewer devices, with a reserve, and that is said once', () => {
  const { bound, shortage } = createDescriptorBound(log, use, 1024);
  const { maxConnections } = bound({ maxConnections: 100_000 });
  expect(maxConnections).toBeGreaterThan(350);
  expect(1024 - 2 * maxConnections).toBeGreaterThan(128);
  bound({ maxConnections: 100_000 });
  expect(told).toEqual([{ limit: 1024, needed: expect.any(Number), maxConnections }]);
  expect(told[0]?.needed).toBeGreaterThan(200_128);
  expect(shortage()).toEqual(told[0]);
  bound({ maxConnections: 90_000 });
  expect(told).toHaveLength(2);
});

test('of very few descriptors devices have half', () => {
  expect(createDescriptorBound(log, use, 64).bound({ maxConnections: 1000 }).maxConnections).toBe(16);
});
