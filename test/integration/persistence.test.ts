import { beforeAll, expect, test } from 'vitest';
import type { ClientList } from '../../src/admin/backend.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { agree, nodeOf, startProxy } from '../support/cluster.ts';
import {
  clientIds,
  connectDevice,
  connectDevices,
  type Device,
  endDevices,
  placement,
} from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { type RedisServer, redisCommand, startRedis } from '../support/redis.ts';
import { patience, until } from '../support/wait.ts';

/** Brokers that know nothing of each other, behind two proxies that remember where devices were served. */
let redis: RedisServer;
let brokers: Mosquitto[];
let p1: Breakwater;
let p2: Breakwater;
let pools: object;

beforeAll(async () => {
  redis = await startRedis();
  brokers = await Promise.all([startMosquitto(), startMosquitto(), startMosquitto()]);
  const nodes = brokers.map(({ url }, i) => ({ id: `n${i}`, url }));
  const persistence = { by: 'client-id', ttl: 60 };
  pools = {
    default: { nodes, persistence, strategy: 'round-robin', slowStart: 0, health: { interval: 2 } },
  };
  const membership = { recallTimeout: 1 }; // no machine is so busy that chance decides
  const start = (id: string) => startProxy(redis, id, { pools, membership });
  [p1, p2] = await Promise.all([start('p1'), start('p2')]);
  await agree([p1, p2], ['n0', 'n1', 'n2']);
});

/** Index of the broker that has the device; the proxies have told the store by then. */
async function brokerOf(clientId: string): Promise<number> {
  return Number(
    await until(() => {
      const at = placement(brokers).get(clientId);
      return at === undefined ? '' : `${at}`;
    }, `${clientId} to be at a broker`),
  );
}

async function isRemembered(clientId: string): Promise<boolean> {
  return (await redisCommand(redis.url, 'EXISTS', `{breakwater:default}:client:default ${clientId}`)) === 1;
}

function isClosed({ socket }: Device): boolean {
  return socket.destroyed;
}

async function setState(id: string, state: 'enabled' | 'disabled' | 'draining'): Promise<void> {
  await p1.api(`nodes/${id}`, { method: 'PATCH', body: { state } });
  for (const proxy of [p1, p2])
    await until(async () => (await nodeOf(proxy, id)).state === state, `${id} to be ${state}`);
}

test('a device goes to the same node again, at the other proxy too', async () => {
  const ids = clientIds(16);
  const here = await connectDevices(p1.port, ids);
  const before = await until(
    () => placement(brokers).size === ids.length && placement(brokers),
    'all to be placed',
  );
  for (const id of ids) await until(() => isRemembered(id), `${id} to be remembered`);
  expect(new Set(before.values()).size).toBe(3);
  endDevices(here);
  await until(() => placement(brokers).size === 0, 'all to be gone');
  const there = await connectDevices(p2.port, [...ids].reverse()); // in another order: chance would show
  expect(
    await until(() => placement(brokers).size === ids.length && placement(brokers), 'all to be back'),
  ).toEqual(before);
  endDevices(there);
});

test.each([
  'draining',
  'unhealthy',
])('while its node is %s it is placed anew, and stays there', async (what) => {
  const id = `away-${what}`;
  const first = await connectDevice(p1.port, id);
  const home = await brokerOf(id);
  endDevices([first]);
  await until(() => !placement(brokers).has(id), 'the device to be gone');
  if (what === 'draining') await setState(`n${home}`, 'draining');
  else brokers[home]?.kill('SIGKILL');
  if (what === 'unhealthy') {
    for (const proxy of [p1, p2])
      await until(async () => (await nodeOf(proxy, `n${home}`)).health === what, 'the node to be unhealthy');
  }
  const second = await connectDevice(p2.port, id);
  expect(second.code).toBe(0);
  const refuge = await until(() => {
    const at = placement(brokers).get(id);
    return at !== undefined && at !== home && `${at}`;
  }, 'the device to be at another broker');
  endDevices([second]);
  if (what === 'draining') await setState(`n${home}`, 'enabled');
  else await brokers[home]?.restart();
  for (const proxy of [p1, p2])
    await until(
      async () => (await nodeOf(proxy, `n${home}`)).health === 'healthy',
      'the node to be back',
      15_000,
    );
  const third = await connectDevice(p1.port, id);
  expect(`${await brokerOf(id)}`).toBe(refuge);
  endDevices([third]);
});

test('of one client id at two proxies both live, where their brokers know nothing of each other', async () => {
  const older = await connectDevice(p1.port, 'twin');
  const home = await brokerOf('twin');
  await setState(`n${home}`, 'disabled'); // who is there stays
  const newer = await connectDevice(p2.port, 'twin');
  const list = async () => p1.api<ClientList>('clients?match=twin');
  const { clients } = await until(
    async () => (await list()).total === 2 && (await list()),
    'both to be listed',
  );
  expect(clients.map(({ proxy }) => proxy).sort()).toEqual(['p1', 'p2']);
  // The broker of the newer one takes it over by the next, and so ends it. The older one is none of its business.
  const newest = await connectDevice(p2.port, 'twin');
  await until(() => isClosed(newer), 'the broker to have taken over');
  await until(
    () => p2.logs().some(({ msg, reason }) => msg === 'device ended' && reason === 'taken-over'),
    'it to be told as a takeover',
  );
  expect([isClosed(older), isClosed(newest)]).toEqual([false, false]);
  endDevices([older, newest]);
  await setState(`n${home}`, 'enabled');
});

test('what Redis forgot is remembered for devices that are connected', async () => {
  const id = 'survivor';
  const first = await connectDevice(p1.port, id);
  const home = await brokerOf(id);
  const connections = async () => `${await redisCommand(redis.url, 'CLIENT', 'LIST')}`.split('\n').length;
  const before = await connections();
  await redis.restart(); // empty
  await until(async () => (await connections()) >= before, 'both proxies to be connected again');
  await until(() => isRemembered(id), 'the proxy to give back what it knows');
  const others = await connectDevices(p2.port, clientIds(2, 'turns')); // so that chance would say another node
  const second = await connectDevice(p2.port, id);
  await until(() => isClosed(first), 'the older connection to end');
  expect(await brokerOf(id)).toBe(home);
  endDevices([second, ...others]);
});

test('a Redis that hangs holds no device up, and none fails', async () => {
  const proxy = await startProxy(redis, 'p3', { pools, membership: { heartbeat: 30 } });
  redis.kill('SIGSTOP');
  const begin = performance.now();
  for (const id of clientIds(5, 'hurried')) {
    const device = await connectDevice(proxy.port, id);
    expect(device.code).toBe(0);
    endDevices([device]);
  }
  expect(performance.now() - begin).toBeLessThan(patience(1_000)); // 50 ms each; Redis itself would be waited for 2 s
  redis.kill('SIGCONT');
});
