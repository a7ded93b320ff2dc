import { expect, test } from 'vitest';
import { locate, redisTarget } from '../../../../src/membership/store/redis-target.ts';

const resolve = async (host: string): Promise<readonly string[]> => {
  if (host === 'gone') throw new Error('gone does not resolve');
  return host === 'both' ? ['10.0.0.1', 'fd00::1'] : [host];
};

test('a Redis is reached at every address of its names', async () => {
  const { hosts } = await locate(redisTarget('redis+sentinel://both:26379,gone:1,10.0.0.9:2/main'), resolve);
  expect(hosts).toEqual([
    { host: '10.0.0.1', port: 26379 },
    { host: 'fd00::1', port: 26379 },
    { host: '10.0.0.9', port: 2 },
  ]);
});

test('where no name resolves, that is the reason', async () => {
  await expect(locate(redisTarget('redis://gone:6379'), resolve)).rejects.toThrow('gone does not resolve');
});

test('with TLS names stay, for certificates, and are looked up likewise', async () => {
  const { hosts, tls } = await locate(redisTarget('rediss://both:6379'), resolve);
  expect(hosts).toEqual([{ host: 'both', port: 6379 }]);
  expect(tls?.lookup).toBeInstanceOf(Function);
});
