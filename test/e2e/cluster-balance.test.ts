import { expect, test } from 'vitest';
import { connectionsOf, startProxy } from '../support/cluster.ts';
import { clientIds, connectDevices } from '../support/devices.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** How many times as many devices the fullest node has as the emptiest. */
function spread(counts: readonly number[]): number {
  return Math.max(...counts) / Math.min(...counts);
}

test('under least-connections two proxies, of which one has more to do, fill four nodes evenly', async () => {
  const redis = await startRedis();
  const brokers = await Promise.all(Array.from({ length: 4 }, () => startMosquitto()));
  const pools = { default: { nodes: brokers.map(({ url }, i) => ({ id: `n${i}`, url })) } };
  const membership = { heartbeat: 1 }; // as it is by default
  const proxies = await Promise.all(['p1', 'p2'].map((id) => startProxy(redis, id, { pools, membership })));
  const shares = [500, 300];
  await Promise.all(proxies.map(({ port }, i) => connectDevices(port, clientIds(shares[i] ?? 0, `p${i}`))));
  const told = await until(() => {
    const counts = brokers.map((broker) => broker.clients().length);
    return counts.reduce((sum, count) => sum + count) === 800 && counts;
  }, 'every device to be at a broker');
  expect(spread(told)).toBeLessThan(1.05);
  for (const proxy of proxies) {
    await until(
      async () => Object.values(await connectionsOf(proxy)).join() === told.join(),
      'each proxy to know the connections of both',
    );
  }
});
