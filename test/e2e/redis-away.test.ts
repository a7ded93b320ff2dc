import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { StatusView } from '../../src/admin/backend.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { run } from '../support/cli.ts';
import { agree, nodeOf, startProxy } from '../support/cluster.ts';
import { clientIds, connectDevice } from '../support/devices.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
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

let redis: RedisServer;
let proxies: readonly [Breakwater, Breakwater];
let fleet: Fleet;
let pools: object;
let rounds = 0;
const ids = ['n1', 'n2', 'n3', 'l1', 'l2', 'l3'];

beforeAll(async () => {
  redis = await startRedis();
  const brokers = await Promise.all(Array.from({ length: 6 }, () => startMosquitto()));
  const urls = brokers.map(({ url }) => url);
  const persistence = { by: 'client-id' };
  const nodes = (named: readonly string[], from: number) =>
    named.map((id, i) => ({ id, url: urls[from + i] }));
  pools = {
    default: { nodes: nodes(['n1', 'n2'], 0), persistence, slowStart: 0, health: { interval: 2 } },
    lasting: { nodes: nodes(['l1', 'l2', 'l3'], 3), persistence, slowStart: 0 },
  };
  proxies = await Promise.all([startOne('p1'), startOne('p2')]);
  await proxies[0].api('nodes', { method: 'POST', body: { id: 'n3', url: urls[2] } });
  await agree(proxies, ids);
  for (const proxy of proxies) {
    for (const id of ids)
      await until(async () => (await nodeOf(proxy, id)).health === 'healthy', `${id} to be healthy`);
  }
  fleet = startFleet(200, () => proxies.map(({ port }) => port));
  await until(() => fleet.connected() === fleet.size, 'every device to be connected');
});

function startOne(id: string): Promise<Breakwater> {
  const listeners = ['default', 'lasting'].map((pool) => ({ url: 'mqtt://127.0.0.1:0', pool }));
  // No machine is so busy that the strategy decides.
  const membership = { recallTimeout: 1 };
  return startProxy(redis, id, { proxy: { id, threads: 1 }, listeners, pools, membership });
}

test.each(
  Object.entries(ways),
)('Redis %s: no device notices, those that come back find their session, and the cluster goes on', async (_, {
  leave,
  come,
}) => {
  const [p1, p2] = proxies;
  const round = ++rounds;
  const lasting = p1.ports[1] as number;
  const owners = clientIds(20, `lasting-${round}`);
  const devices = await connectAll(lasting, 4, owners, false);
  const [away, staying] = [devices.slice(0, 10), devices.slice(10)];
  await leaveAll(away);
  const before = proxies.map(eventsOfNodes);

  await leave(redis);
  const drain = run(['node', 'drain', 'n1', '--admin', p2.adminUrl]); // before anybody can know
  await leaveAll(await connectAll(lasting, 4, owners.slice(0, 10), true));
  for (const proxy of proxies) await until(async () => !(await isUp(proxy)), 'the store to be down', 1_500);
  expect(await drain).toMatchObject({ code: 1, stderr: expect.stringMatching(/^.*Redis at .* try again/) });
  await expect(p1.api('nodes/n2/drain', { method: 'POST' })).rejects.toThrow(/503.*STORE_UNAVAILABLE/);
  const late = await startOne(`late-${round}`);
  const awake = Date.now() + 3_000;
  for (let i = 0; Date.now() < awake; i++) {
    for (const { port } of [p1, p2, late])
      expect(await connectDevice(port, `new-${round}-${i}-${port}`)).toMatchObject({ code: 0 });
    await sleep(60); // fifty times in all, which takes no core for itself
  }
  await leaveAll(staying);
  await leaveAll(await connectAll(lasting, 4, owners, true));

  await come(redis);
  const all = [p1, p2, late];
  for (const proxy of all) await until(() => isUp(proxy), 'the store to be up');
  await agree(all, ids);
  await leaveAll(await connectAll(lasting, 4, owners, true));
  expect(proxies.map(eventsOfNodes)).toEqual(before);
  await p1.api('nodes/n1/drain', { method: 'POST' });
  for (const proxy of all)
    await until(async () => (await nodeOf(proxy, 'n1')).state === 'draining', 'the drain', 1_000);
  expect([fleet.connected(), fleet.losses()]).toEqual([fleet.size, 0]);
  await p1.api('nodes/n1', { method: 'PATCH', body: { state: 'enabled' } });
  for (const proxy of proxies)
    await until(async () => (await nodeOf(proxy, 'n1')).state === 'enabled', 'the end of the drain');
  late.kill('SIGKILL');
  await late.exited;
});
