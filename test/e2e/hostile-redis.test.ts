import fc from 'fast-check';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ClientList, NodeView, StatusView } from '../../src/admin/backend.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { agree, nodeOf, startProxy } from '../support/cluster.ts';
import { connectDevice } from '../support/devices.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { type HostileCommand, hostileCommands, wrongTypes } from '../support/hostile-redis.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { atEnd } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** Somebody writes what they like into the Redis of two proxies with devices. The tests of this file build on each other. */

const CLUSTER = 'default';
const key = (name: string): string => `{breakwater:${CLUSTER}}:${name}`;
const clientIds = Array.from({ length: 50 }, (_, i) => `fleet-${i}`);

let redis: RedisServer;
let evil: Redis;
let fleet: Fleet;
let proxies: Breakwater[];
let rounds = 0;

beforeAll(async () => {
  redis = await startRedis();
  evil = new Redis(redis.url);
  atEnd(() => evil.disconnect());
  const brokers = await Promise.all([startMosquitto(), startMosquitto()]);
  const pools = {
    default: {
      nodes: [{ id: 'n1', url: brokers[0]?.url }],
      persistence: { by: 'client-id' },
      health: { interval: 2 },
      slowStart: 0,
    },
  };
  proxies = await Promise.all([
    startProxy(redis, 'p1', { pools, proxy: { id: 'p1', engine: 'epoll', threads: 2 } }),
    startProxy(redis, 'p2', { pools, proxy: { id: 'p2', engine: 'node' } }),
  ]);
  await proxies[0]?.api('nodes', { method: 'POST', body: { id: 'n2', url: brokers[1]?.url } });
  await proxies[1]?.api('nodes/n1', { method: 'PATCH', body: { weight: 70 } });
  await agree(proxies, ['n1', 'n2']);
  fleet = startFleet(clientIds.length, () => proxies.slice(0, 2).map(({ port }) => port));
  await until(() => fleet.connected() === fleet.size, 'every device to be connected');
});

async function isUp(proxy: Breakwater): Promise<boolean> {
  return (await proxy.api<StatusView>('status')).store.up;
}

/** What people and devices get from the cluster, at every proxy. */
async function allIsWell(): Promise<void> {
  for (const proxy of proxies) {
    await until(() => isUp(proxy), 'the store to be up');
    await until(async () => (await nodeOf(proxy, 'n1')).weight === 70, 'the decision to hold');
    const nodes = await proxy.api<NodeView[]>('nodes');
    expect(nodes.map(({ id }) => id).sort()).toEqual(['n1', 'n2']);
    await until(async () => {
      const { total, missing } = await proxy.api<ClientList>('clients?limit=1');
      return total >= fleet.size && missing.length === 0;
    }, 'every device to be listed');
    const round = `new-${++rounds}`;
    const device = await connectDevice(proxy.port, round);
    expect(device.code).toBe(0);
    const [other = proxy] = proxies.filter((each) => each !== proxy);
    await other.api(`clients/${round}`, { method: 'DELETE' }); // by way of a question
    await until(() => device.socket.closed, 'the device to be disconnected');
  }
  // A person's decision still goes through, and comes to all.
  for (const proxy of proxies) {
    const weight = 10 + (++rounds % 50);
    await proxy.api('nodes/n2', { method: 'PATCH', body: { weight } });
    for (const each of proxies)
      await until(async () => (await nodeOf(each, 'n2')).weight === weight, 'the weight at every proxy');
  }
  expect([fleet.connected(), fleet.losses()]).toEqual([fleet.size, 0]);
}

function sawFaults(): unknown[] {
  return proxies
    .flatMap((proxy) => proxy.logs())
    .filter(({ msg }) => /died|connection failed|does not answer/.test(msg));
}

async function run(commands: readonly HostileCommand[]): Promise<void> {
  await Promise.all(commands.map(([name, ...args]) => evil.call(name, ...args).catch(() => undefined)));
}

test('one message kills nobody: a question without its query', async () => {
  const questions = [
    '{"id":"e","from":"x","payload":{"type":"clients"}}',
    '{"v":1,"id":"e","from":"x","payload":{"topic":"clients"}}',
    '{"v":1,"id":"e","from":"x","payload":{"topic":"clients","question":{"query":{}}}}',
    '{"v":1,"id":"e","from":"x","payload":{"topic":"kick","question":{"clientId":["fleet-1"]}}}',
  ];
  await run(questions.map((said) => ['PUBLISH', key('questions'), said]));
  await allIsWell();
  expect(sawFaults()).toEqual([]);
});

test('a bad decision and a broken lease leave the store up, and are named in the log', async () => {
  const version = `${Date.now()}000`;
  await run([
    ['HSET', key('decisions'), 'n2', `${version} {"v":1,"weight":-7}`],
    ['HSET', key('decisions'), 'n9', `${version} {"v":1,"weight":-7}`],
    ['HSET', key('leases'), 'n9', 'for ever'],
    ['HSET', key('meta'), 'version', version],
  ]);
  await until(
    () => proxies.every((proxy) => proxy.logs().filter(({ field }) => field === 'n9').length === 2),
    'both records to be named',
  );
  await allIsWell();
  const lines = proxies[0]?.logs().filter(({ field, key: of }) => field === 'n9' && of === 'decisions');
  expect(lines).toMatchObject([
    { level: 'warn', reason: 'schema', detail: expect.stringContaining('weight') },
  ]);
  expect(sawFaults()).toEqual([]);
});

test('a claim without a number ends nobody', async () => {
  await run(
    clientIds.flatMap((clientId): HostileCommand[] => [
      ['PUBLISH', key('claims'), JSON.stringify({ v: 1, clientId, node: 'n1', proxy: 'x' })],
      ['PUBLISH', key('claims'), JSON.stringify({ v: 1, clientId, node: 'n1', proxy: 'x', epoch: 'now' })],
      ['PUBLISH', key('claims'), JSON.stringify({ clientId, node: 'n1', proxy: 'x', epoch: 9e15 })],
    ]),
  );
  await allIsWell();
});

describe.each([1, 2, 3])('seed %i', (seed) => {
  test('whatever is written under every key and channel, the cluster goes on', async () => {
    const commands = fc.sample(hostileCommands(CLUSTER, ['p1', 'p2'], clientIds), { seed, numRuns: 600 });
    for (let at = 0; at < commands.length; at += 50) await run(commands.slice(at, at + 50));
    await allIsWell();
    expect(sawFaults()).toEqual([]);
  });
});

test('keys of another type are said, deleted, and given back what the proxies know', async () => {
  for (let time = 0; time < 3; time++) await run(wrongTypes(CLUSTER, clientIds));
  await allIsWell();
  const lines = proxies.flatMap((proxy) => proxy.logs()).filter(({ reason }) => reason === 'type');
  expect(new Set(lines.map((line) => line.key))).toContain('nodes');
});

test('a proxy starts, and sees what is good', async () => {
  await run(fc.sample(hostileCommands(CLUSTER, ['p1', 'p2'], clientIds), { seed: 7, numRuns: 300 }));
  proxies.push(await startProxy(redis, 'p3'));
  await until(async () => (await nodeOf(proxies[2] as Breakwater, 'n2')).source === 'api', 'the shared node');
  proxies.pop();
});

test('what is bad is counted, and never given back to a Redis that lost it', async () => {
  const metrics = await (await fetch(`${proxies[0]?.adminUrl}/metrics`)).text();
  for (const name of ['nodes', 'decisions', 'leases', 'proxies', 'questions', 'claims', 'answers'])
    expect(metrics).toMatch(new RegExp(`records_skipped_total\\{key="${name}",reason="\\w+"\\} [1-9]`));
  await evil.flushall();
  await until(async () => (await evil.hlen(key('nodes'))) > 0, 'the nodes to be back');
  await allIsWell();
  expect(await evil.hkeys(key('nodes'))).toEqual(['n2']);
  expect((await evil.hkeys(key('decisions'))).sort()).toEqual(['n1', 'n2']);
  expect((await evil.hkeys(key('proxies'))).filter((id) => !/^p[123]$/.test(id))).toEqual([]);
});
