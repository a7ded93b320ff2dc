import { expect, test } from 'vitest';
import { defaultConfig } from '../../../src/config/load.ts';
import type { Balancer } from '../../../src/data-plane/balancer.ts';
import { createPoolRoute } from '../../../src/data-plane/pool-route.ts';

const [pool] = defaultConfig().pools;
if (pool === undefined) throw new Error('the default configuration has no pool');
const route = (rates = { messageRate: 0, byteRate: 0 }) =>
  createPoolRoute(pool, 0, {} as Balancer, 50, rates);

test('devices have the rates of the configuration, or what their rule says of each', () => {
  expect(route().rates).toBeUndefined();
  const limited = route({ messageRate: 10, byteRate: 2_000 });
  expect(limited.rates).toEqual({ messageRate: 10, byteRate: 2_000 });
  expect(limited.as({ limits: { messageRate: 3 } }).rates).toEqual({ messageRate: 3, byteRate: 2_000 });
  expect(limited.as({ limits: { messageRate: 0, byteRate: 0 } }).rates).toBeUndefined();
});

test('what one rule makes of a pool is one value, unless it has a key', () => {
  const change = { mode: 'relay', limits: { byteRate: 9 } } as const;
  const one = route();
  expect(one.as(change)).toBe(one.as(change));
  expect(one.as(change)).toMatchObject({ mode: 'relay', rates: { messageRate: 0, byteRate: 9 } });
  const keyed = { key: 'site-7' };
  expect(one.as(keyed)).not.toBe(one.as(keyed));
});

test('devices without a client id are hashed apart, though they come from one address', () => {
  const hashed: string[] = [];
  const candidates: Balancer['candidates'] = (_pool, { clientId }) => {
    hashed.push(clientId);
    return [][Symbol.iterator]() as never;
  };
  const { place } = createPoolRoute(pool, 0, { candidates } as Balancer, 50, { messageRate: 0, byteRate: 0 });
  for (const remotePort of [1, 2])
    place({ clientId: '' }, { remoteAddress: '10.0.0.1', remotePort }, undefined);
  place({ clientId: 'meter' }, { remoteAddress: '10.0.0.1', remotePort: 3 }, undefined);
  expect(hashed).toEqual(['10.0.0.1:1', '10.0.0.1:2', 'meter']);
});
