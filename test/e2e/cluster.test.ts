import { beforeAll, expect, test } from 'vitest';
import type { ProxyView, StatusView } from '../../src/admin/backend.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { agree, nodeOf, startJoining, startProxy } from '../support/cluster.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import type { Spawned } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** One cluster that lives through all of it: the tests of this file build on each other. */
let redis: RedisServer;
let fleet: Fleet;
const brokers = new Map<string, Spawned>();
const proxies: Breakwater[] = [];
let rounds = 0;

async function allWell(): Promise<void> {
  await until(() => fleet.connected() === fleet.size, 'every device to be connected', 20_000);
  const round = `round ${++rounds}`;
  const isHeard = async () => {
    fleet.publish(round); // anew, until the last subscription is in force
    return until(() => fleet.heard(round) === fleet.size, '', 500).catch(() => false);
  };
  await until(isHeard, `every device to hear of ${round}`, 20_000);
}

function join(...ids: string[]): void {
  for (const id of ids) brokers.set(id, startJoining(redis, id));
}

function signal(kind: NodeJS.Signals, ...ids: string[]): void {
  for (const id of ids) {
    brokers.get(id)?.kill(kind);
    brokers.delete(id);
  }
}

async function storeUp(proxy: Breakwater): Promise<boolean> {
  return (await proxy.api<StatusView>('status')).store.up;
}

beforeAll(async () => {
  redis = await startRedis();
  join('b1', 'b2');
  proxies.push(...(await Promise.all(['p1', 'p2'].map((id) => startProxy(redis, id)))));
  await agree(proxies, ['b1', 'b2']);
  fleet = startFleet(200, () => proxies.map(({ port }) => port));
});

test('200 devices over two proxies and two brokers that joined by themselves', async () => {
  await allWell();
  expect(fleet.losses()).toBe(0);
});

test('one more broker, and no device notices', async () => {
  join('b3');
  await agree(proxies, [...brokers.keys()]);
  await allWell();
  expect(fleet.losses()).toBe(0);
});

test('a broker that leaves drains and goes', async () => {
  const leaving = brokers.get('b1') as Spawned;
  signal('SIGTERM', 'b1');
  await agree(proxies, ['b2', 'b3']);
  await allWell();
  expect(await leaving.exited).toBe(0);
});

test('a proxy that is killed: its devices come through the other, and it is gone from the list', async () => {
  const [first, second] = proxies as [Breakwater, Breakwater];
  second.kill('SIGKILL');
  proxies.splice(1);
  await allWell();
  const listed = () => first.api<ProxyView[]>('proxies');
  await until(async () => (await listed()).length === 1, 'one proxy in the list');
  proxies.push(await startProxy(redis, 'p2'));
  await until(async () => (await listed()).length === 2, 'two proxies in the list');
  await agree(proxies, ['b2', 'b3']);
});

test('a broker that is killed is unhealthy at both proxies, then forgotten', async () => {
  signal('SIGKILL', 'b2');
  for (const proxy of proxies) {
    await until(async () => (await nodeOf(proxy, 'b2')).health === 'unhealthy', 'b2 to be unhealthy');
  }
  await agree(proxies, ['b3']);
  await allWell();
});

test('Redis stops and starts: no device notices, and the cluster goes on', async () => {
  const before = fleet.losses();
  await redis.stop();
  for (const proxy of proxies)
    await until(async () => !(await storeUp(proxy)), 'the store to be down', 1_000);
  await agree(proxies, ['b3']);
  await redis.restart();
  for (const proxy of proxies) await until(() => storeUp(proxy), 'the store to be up');
  join('b4');
  await agree(proxies, ['b3', 'b4']);
  await allWell();
  expect(fleet.losses()).toBe(before);
});
