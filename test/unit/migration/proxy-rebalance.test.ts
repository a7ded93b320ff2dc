import { expect, test } from 'vitest';
import { proxySpread, surplusOf } from '../../../src/migration/proxy-rebalance.ts';

const proxies = (...counts: number[]) => counts.map((connections, i) => ({ id: `p${i}`, connections }));

test('what is above the mean is the surplus, and no device more', () => {
  expect(surplusOf(proxies(90, 0, 0), 0.1)).toEqual([{ id: 'p0', count: 60 }]);
  expect(surplusOf(proxies(50, 41, 0), 0.1)).toEqual([
    { id: 'p0', count: 19 }, // the mean is 30.3
    { id: 'p1', count: 10 },
  ]);
  expect(surplusOf(proxies(1, 0), 0)).toEqual([]);
});

test('nobody leaves where the proxies are even enough, or where there is no other', () => {
  expect(surplusOf(proxies(104, 96), 0.1)).toEqual([]);
  expect(surplusOf(proxies(106, 94), 0.1)).toEqual([{ id: 'p0', count: 6 }]);
  expect(surplusOf(proxies(1000), 0)).toEqual([]);
  expect(surplusOf([], 0)).toEqual([]);
  expect(surplusOf(proxies(0, 0), 0)).toEqual([]);
  expect(proxySpread(proxies(150, 50))).toBe(1);
});
