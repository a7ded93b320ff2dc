import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { StatusView } from '../../src/admin/backend.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { run } from '../support/cli.ts';
import { agree, nodeOf, startProxy } from '../support/cluster.ts';
import { clientIds, connectDevice } from '../support/devices.ts';
import { startFleet } from '../support/fleet.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { connectAll, leaveAll } from '../support/persistent-devices.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

const ways: Record<string, { leave(redis: RedisServer): unknown; come(redis: RedisServer): unknown }> = {
  'is stopped and comes back empty': { leave: (redis) => redis.stop(), come: (redis) => redis.restart() },
  'hangs, and wakes up': {
    leave: (redis) => redis.kill('SIGSTOP'),
    come: (redis) => redis.kill('SIGCONT'),
  },
};

async function isUp(proxy: Breakwater): Promise<boolean> {
  const { store } = await proxy.api<StatusView>('status');
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  return store.up && metrics.includes('\nbreakwater_membership_store_up 1\n');
}

function eventsOfNodes(proxy: Breakwater): string[] {
  return proxy
    .logs()
    .map(({ msg }) => msg)
    .filter((msg) => msg.startsWith('node '));
}

test.concurrent.each(Object.entries(ways))('Redis %s: no device notices, and the cluster goes on', async (_, {
  leave,
  come,
}) => {
  const redis = await startRedis();
  const brokers = await Promise.all([startMosquitto(), startMosquitto(), startMosquitto()]);
  const [declared, added] = [brokers.slice(0, 2), brokers.slice(2)];
  const nodes = declared.map(({ url }, i) => ({ id: `n${i + 1}`, url }));
  const pools = {
    default: { nodes, persistence: { by: 'client-id' }, slowStart: 0, health: { interval: 2 } },
  };
  const proxies = await Promise.all(['p1', 'p2'].map((id) => startProxy(redis, id, { pools })));
  const [p1, p2] = proxies as [Breakwater, Breakwater];
  await p1.api('nodes', { method: 'POST', body: { id: 'n3', url: added[0]?.url } });
  await agree(proxies, ['n1', 'n2', 'n3']);
  for (const proxy of proxies) {
    for (const { id } of await proxy.api<{ id: string }[]>('nodes'))
      await until(async () => (await nodeOf(proxy, id)).health === 'healthy', `${id} to be healthy`);
  }
  const fleet = startFleet(200, () => proxies.slice(0, 2).map(({ port }) => port));
  await until(() => fleet.connected() === fleet.size, 'every device to be connected');
  const before = proxies.map(eventsOfNodes);

  await leave(redis);
  const drain = run(['node', 'drain', 'n1', '--admin', p2.adminUrl]); // before anybody can know
  for (const proxy of proxies) await until(async () => !(await isUp(proxy)), 'the store to be down', 1_500);
  expect(await drain).toMatchObject({ code: 1, stderr: expect.stringMatching(/^.*Redis at .* try again/) });
  await expect(p1.api('nodes/n2/drain', { method: 'POST' })).rejects.toThrow(/503.*STORE_UNAVAILABLE/);
  const late = await startProxy(redis, 'p3', { pools });
  const awake = Date.now() + 3_000;
  for (let i = 0; Date.now() < awake; i++) {
    for (const { port } of [p1, p2, late])
      expect(await connectDevice(port, `new-${i}-${port}`)).toMatchObject({ code: 0 });
    await sleep(20); // a hundred times in all, which takes no core for itself
  }

  await come(redis);
  proxies.push(late);
  for (const proxy of proxies) await until(() => isUp(proxy), 'the store to be up');
  await agree(proxies, ['n1', 'n2', 'n3']);
  expect(proxies.slice(0, 2).map(eventsOfNodes)).toEqual(before);
  await p1.api('nodes/n1/drain', { method: 'POST' });
  for (const proxy of proxies)
    await until(async () => (await nodeOf(proxy, 'n1')).state === 'draining', 'the drain', 1_000);
  expect([fleet.connected(), fleet.losses()]).toEqual([fleet.size, 0]);
});

test.concurrent.each(
  Object.entries(ways),
)('Redis %s: devices come back to their node and its session', async (_, { leave, come }) => {
  const [redis, ...brokers] = await Promise.all([startRedis(), ...[1, 2, 3].map(() => startMosquitto())]);
  const nodes = brokers.map(({ url }, i) => ({ id: `n${i + 1}`, url }));
  const pools = { default: { nodes, persistence: { by: 'client-id' }, slowStart: 0 } };
  // No machine is so busy that the strategy decides.
  const { port } = await startProxy(redis, 'p1', { pools, membership: { recallTimeout: 1 } });
  const ids = clientIds(20, 'lasting');
  const devices = await connectAll(port, 4, ids, false);
  const [away, staying] = [devices.slice(0, 10), devices.slice(10)];
  await leaveAll(away);
  await leave(redis);
  await leaveAll(await connectAll(port, 4, ids.slice(0, 10), true));
  await leaveAll(staying);
  await leaveAll(await connectAll(port, 4, ids, true));
  await come(redis);
  await connectAll(port, 4, ids, true);
});
