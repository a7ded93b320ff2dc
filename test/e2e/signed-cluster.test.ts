import { Redis } from 'ioredis';
import { beforeAll, expect, test } from 'vitest';
import type { ClientList, NodeView } from '../../src/admin/backend.ts';
import { RedisStore } from '../../src/membership/store/redis.ts';
import { node, Recorder } from '../contract/store.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { main } from '../support/cli.ts';
import { agree, HEARTBEAT, nodeOf, startProxy } from '../support/cluster.ts';
import { connectDevice } from '../support/devices.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { atEnd, start } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** Proxies that sign, and somebody who writes what they like into their Redis: well-formed words of a proxy too. */

const SECRET = 'a secret of the cluster';
const key = (name: string): string => `{breakwater:default}:${name}`;
const SIZE = 20;

let redis: RedisServer;
let evil: Redis;
let proxies: [Breakwater, Breakwater];
let fleet: Fleet;
let brokers: readonly { readonly url: string }[];

const pools = () => ({
  default: {
    nodes: [{ id: 'n1', url: brokers[0]?.url }],
    persistence: { by: 'client-id' },
    health: { interval: 2 },
  },
});

beforeAll(async () => {
  redis = await startRedis();
  evil = new Redis(redis.url);
  atEnd(() => evil.disconnect());
  brokers = await Promise.all([startMosquitto(), startMosquitto()]);
  const membership = { secret: SECRET };
  proxies = await Promise.all([
    startProxy(redis, 'p1', { pools: pools(), membership, proxy: { id: 'p1', threads: 1 } }),
    startProxy(redis, 'p2', { pools: pools(), membership, proxy: { id: 'p2', threads: 1 } }),
  ]);
  await proxies[0].api('nodes', { method: 'POST', body: { id: 'n2', url: brokers[1]?.url } });
  await proxies[1].api('nodes/n1', { method: 'PATCH', body: { weight: 70 } });
  await agree(proxies, ['n1', 'n2']);
  fleet = startFleet(SIZE, () => proxies.map(({ port }) => port));
  await until(() => fleet.connected() === SIZE, 'every device to be connected');
});

async function allIsWell(): Promise<void> {
  for (const proxy of proxies) {
    await until(async () => (await nodeOf(proxy, 'n1')).weight === 70, 'the decision to hold');
    const nodes = await proxy.api<NodeView[]>('nodes');
    expect(nodes.map(({ id, state }) => [id, state]).sort()).toEqual([
      ['n1', 'enabled'],
      ['n2', 'enabled'],
    ]);
    await until(async () => {
      const { total, missing } = await proxy.api<ClientList>('clients?limit=1');
      return total === SIZE && missing.length === 0;
    }, 'every device to be listed');
  }
  expect([fleet.connected(), fleet.losses()]).toEqual([SIZE, 0]);
}

/** How much was passed over, over both proxies, for this reason. */
async function skipped(of: string, reason: string): Promise<number> {
  const all = await Promise.all(
    proxies.map(async ({ adminUrl }) => (await fetch(`${adminUrl}/metrics`)).text()),
  );
  const pattern = new RegExp(`records_skipped_total\\{key="${of}",reason="${reason}"\\} (\\d+)`);
  return all.reduce((sum, text) => sum + Number(pattern.exec(text)?.[1] ?? 0), 0);
}

const now = (): string => `${Date.now()}000`;

test('people and devices notice nothing of the signatures', async () => {
  await allIsWell();
  const device = await connectDevice(proxies[0].port, 'kicked');
  await proxies[1].api('clients/kicked', { method: 'DELETE' });
  await until(() => device.socket.closed, 'the device to be disconnected');
});

test('what is well formed and not signed is passed over, counted and said', async () => {
  const node = { v: 1, id: 'evil', pool: 'default', url: 'mqtt://127.0.0.1:1', weight: 100, source: 'api' };
  const version = now();
  await evil.hset(key('nodes'), 'evil', `${version} ${JSON.stringify(node)}`);
  await evil.hset(key('decisions'), 'n1', `${version} {"v":1,"state":"disabled"}`);
  await evil.hset(key('meta'), 'version', version);
  for (let i = 0; i < SIZE; i++) {
    const question = { topic: 'kick', question: { clientId: `fleet-${i}` } };
    await evil.publish(key('questions'), JSON.stringify({ v: 1, id: `${i}`, from: 'p3', payload: question }));
    const claim = {
      v: 1,
      pool: 'default',
      clientId: `fleet-${i}`,
      node: 'n2',
      proxy: 'p3',
      who: 1,
      epoch: now(),
    };
    await evil.publish(key('claims'), JSON.stringify(claim));
  }
  for (const of of ['nodes', 'decisions', 'questions', 'claims'])
    await until(async () => (await skipped(of, 'unsigned')) > 0, `${of} to be counted`);
  expect(proxies.flatMap((proxy) => proxy.logs())).toContainEqual(
    expect.objectContaining({ level: 'warn', key: 'nodes', field: 'evil', reason: 'unsigned' }),
  );
  const nodes = await proxies[0].api<NodeView[]>('nodes');
  expect(nodes.map(({ id }) => id)).not.toContain('evil');
  expect([fleet.connected(), fleet.losses()]).toEqual([SIZE, 0]);
  await proxies[0].api('nodes/n1', { method: 'PATCH', body: { weight: 70, state: 'enabled' } });
  await allIsWell();
});

test('a record is believed under its own name only', async () => {
  const record = `${await evil.hget(key('nodes'), 'n2')}`;
  const version = now();
  await evil.hset(key('nodes'), 'n3', record.replace(/^\d+/, version));
  await evil.hset(key('meta'), 'version', version);
  await until(async () => (await skipped('nodes', 'forged')) > 0, 'it to be counted');
  await allIsWell();
});

test('what was said before is not believed again: a decision, and a question', async () => {
  const [listening, device] = [evil.duplicate(), await connectDevice(proxies[0].port, 'twice')];
  atEnd(() => listening.disconnect());
  const questions: string[] = [];
  listening.on('message', (_, text) => questions.push(text));
  await listening.subscribe(key('questions'));
  await proxies[1].api('clients/twice', { method: 'DELETE' });
  await until(() => device.socket.closed, 'the device to be disconnected');
  await proxies[1].api('nodes/n2', { method: 'PATCH', body: { state: 'draining' } });
  await until(async () => (await nodeOf(proxies[0], 'n2')).state === 'draining', 'the drain');
  const draining = `${await evil.hget(key('decisions'), 'n2')}`;
  await proxies[1].api('nodes/n2', { method: 'PATCH', body: { state: 'enabled' } });
  await until(async () => (await nodeOf(proxies[0], 'n2')).state === 'enabled', 'the end of it');

  const again = await connectDevice(proxies[0].port, 'twice');
  for (const text of [...questions]) await evil.publish(key('questions'), text);
  const version = now();
  await evil.hset(key('decisions'), 'n2', draining.replace(/^\d+/, version));
  await evil.hset(key('meta'), 'version', version);
  for (const of of ['questions', 'decisions'])
    await until(async () => (await skipped(of, 'replayed')) > 0, `${of} to be counted`);
  expect(again.socket.closed).toBe(false);
  again.socket.destroy();
  await proxies[1].api('nodes/n2', { method: 'PATCH', body: { state: 'enabled' } });
  await allIsWell();
});

test('a node registers with the secret of the cluster, and not without', async () => {
  const listed = async () => (await proxies[0].api<NodeView[]>('nodes')).map(({ id }) => id).sort();
  const at = ['--listen', 'mqtt://127.0.0.1:0', '--id', 'b1', '--redis', redis.url, '--join', 'default'];
  const broker = start(
    process.execPath,
    [main, 'broker', ...at, '--heartbeat', `${HEARTBEAT}`, '--grace', '0'],
    { BREAKWATER_MEMBERSHIP_SECRET: SECRET },
  );
  await until(async () => (await listed()).includes('b1'), 'the node');
  const before = await skipped('nodes', 'unsigned');
  const stranger = new RedisStore({ url: redis.url, cluster: 'default', proxyId: 'b2' });
  await stranger.open(new Recorder());
  await stranger.beatNode(node('b2', { source: 'self' }), 60_000, 60_000);
  await stranger.close();
  await until(async () => (await skipped('nodes', 'unsigned')) > before, 'the other to be counted');
  expect(await listed()).toEqual(['b1', 'n1', 'n2']);
  await broker.stop();
  await until(async () => (await listed()).length === 2, 'the node to be gone');
});
