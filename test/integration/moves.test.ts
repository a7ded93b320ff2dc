import type { MqttClient } from 'mqtt';
import { connectAsync } from 'mqtt';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ClientDetail, DrainView, NodeView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { runHere } from '../support/cli.ts';
import { clientIds, connectDevices, endDevices } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

interface Fleet {
  readonly devices: readonly MqttClient[];
  readonly ended: readonly string[];
  /** Every device is told of a message to all, so every session is whole. */
  hear(text: string): Promise<void>;
}

const fleets: MqttClient[] = [];
afterEach(async () => {
  await Promise.all(fleets.splice(0).map((device) => device.endAsync(true)));
});

/** Devices of both protocol versions, each subscribed, that note every end of a connection. */
async function startFleet(port: number, count: number, prefix?: string): Promise<Fleet> {
  const ended: string[] = [];
  const heard = new Map<string, number>();
  const devices = await Promise.all(
    clientIds(count, prefix).map(async (clientId, i) => {
      const device = await connectAsync(`mqtt://127.0.0.1:${port}`, {
        clientId,
        protocolVersion: i % 2 === 0 ? 4 : 5,
        reconnectPeriod: 0,
      });
      device.on('close', () => ended.push(clientId));
      device.on('message', (_topic, payload) => heard.set(`${payload}`, (heard.get(`${payload}`) ?? 0) + 1));
      await device.subscribeAsync(`to/${clientId}`, { qos: 1 });
      return device;
    }),
  );
  fleets.push(...devices);
  return {
    devices,
    ended,
    /** Each sends to itself: sessions at brokers that share nothing hear no other's. */
    async hear(text) {
      await Promise.all(
        devices.map((device) => device.publishAsync(`to/${device.options.clientId}`, text, { qos: 1 })),
      );
      await until(() => heard.get(text) === count, `${count} devices to hear ${text}`);
    },
  };
}

const NODES = ['node-1', 'node-2', 'node-3'];

/** Mosquittos that share nothing, and a proxy before them: its first listener is in session mode, its second relays. */
let brokers: Mosquitto[];
let proxy: Breakwater;

beforeAll(async () => {
  brokers = await Promise.all(NODES.map(() => startMosquitto()));
  const nodes = brokers.map(({ url }, i) => ({ id: NODES[i], url }));
  proxy = await startBreakwater({
    listeners: [
      { url: 'mqtt://127.0.0.1:0', mode: 'session' },
      { url: 'mqtt://127.0.0.1:0', mode: 'relay' },
    ],
    pools: { default: { nodes, slowStart: 0 }, hashed: { strategy: 'client-id-hash' } },
  });
});

/** Each test begins with three nodes that take devices and have none. */
beforeEach(async () => {
  for (const id of NODES) await proxy.api(`nodes/${id}`, { method: 'PATCH', body: { state: 'enabled' } });
  await until(async () => (await countsOf(proxy)).every((count) => count === 0), 'the nodes to be empty');
});

const nodesOf = (proxy: Breakwater) => proxy.api<NodeView[]>('nodes');
const countsOf = async (proxy: Breakwater) => (await nodesOf(proxy)).map(({ connections }) => connections);
const clientOf = (proxy: Breakwater, clientId: string) => proxy.api<ClientDetail>(`clients/${clientId}`);
const cli = (proxy: Breakwater, ...args: string[]) => runHere([...args, '--admin', proxy.adminUrl]);
const otherThan = (node: string) => NODES.find((id) => id !== node) ?? '';

/** Of moves by drains that went well, and of messages that devices published. */
async function counters(): Promise<{ drained: number; published: number }> {
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  const value = (name: string) => Number(metrics.split(`\n${name} `)[1]?.split('\n')[0] ?? 0);
  return {
    drained: value('breakwater_reattachments_total{cause="drain",result="ok"}'),
    published: value('breakwater_messages_total{direction="from_device",type="publish"}'),
  };
}

test('node drain moves every device away, none is disconnected, and the node ends empty', async () => {
  const before = await counters();
  const fleet = await startFleet(proxy.port, 60);
  expect(await countsOf(proxy)).toEqual([20, 20, 20]);

  const { code, stdout } = await cli(proxy, 'node', 'drain', 'node-1', '--rate', '40');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\[[#-]{24}\] +\d+% {2}moved \d+, failed 0, left \d+, \d+\/s/m);
  expect(stdout).toContain('node node-1 is empty; sessions moved: 20\n');
  expect(await countsOf(proxy)).toEqual([0, 30, 30]);
  expect(brokers[0]?.clients()).toEqual([]);
  await fleet.hear('after the drain');
  expect(fleet.ended).toEqual([]);

  const drained = await proxy.api<DrainView>('nodes/node-1/drain');
  expect(drained).toMatchObject({ node: 'node-1', state: 'done', moved: 20, failed: 0, left: 0, rate: 40 });
  const after = await counters();
  expect([after.drained - before.drained, after.published - before.published]).toEqual([20, 60]);
});

test('node remove moves the sessions too', async () => {
  const leaving = await startMosquitto();
  expect((await cli(proxy, 'node', 'add', leaving.url, '--id', 'leaving')).code).toBe(0);
  await until(async () => (await nodesOf(proxy)).every(({ health }) => health === 'healthy'), 'the new node');
  const fleet = await startFleet(proxy.port, 20);
  const clientId = await until(() => leaving.clients()[0], 'a device at the new node');
  expect((await clientOf(proxy, clientId)).node).toBe('leaving');
  expect((await cli(proxy, 'node', 'remove', 'leaving')).code).toBe(0);
  await until(() => leaving.clients().length === 0, 'the removed node to be empty');
  const total = async () => (await countsOf(proxy)).reduce((a, b) => a + b);
  await until(async () => (await total()) === 20, 'all sessions at the others');
  await fleet.hear('after the removal');
  expect(fleet.ended).toEqual([]);
  expect(NODES).toContain((await clientOf(proxy, clientId)).node);
});

test('relayed devices stay where they are: the drain says so, and exits with 1', async () => {
  const devices = await connectDevices(proxy.ports[1] ?? 0, clientIds(6, 'relayed'));
  const { code, stdout } = await cli(proxy, 'node', 'drain', 'node-1', '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    ...{ node: 'node-1', state: 'blocked', moved: 0, left: 2, stays: 2 },
  });
  expect(devices.every(({ socket }) => !socket.destroyed)).toBe(true);
  const { node } = await clientOf(proxy, 'relayed-0');
  const move = await cli(proxy, 'client', 'move', 'relayed-0', otherThan(node));
  expect(move).toMatchObject({ code: 1, stdout: '' });
  expect(move.stderr).toContain(`device "relayed-0" stays at ${node}: it is carried in relay mode`);
  endDevices(devices);
});

test('a drain that is taken back ends, and --no-wait does not wait', async () => {
  const fleet = await startFleet(proxy.port, 21);
  const { code, stdout } = await cli(proxy, 'node', 'drain', 'node-1', '--rate', '1', '--no-wait');
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'node node-1 is draining; connections left: 7\n' });
  await until(async () => (await proxy.api<DrainView>('nodes/node-1/drain')).moved > 0, 'a first move');
  await cli(proxy, 'node', 'enable', 'node-1');
  const { state } = await proxy.api<DrainView>('nodes/node-1/drain');
  expect(state).toBe('off');
  const [left] = await countsOf(proxy);
  await fleet.hear('still there');
  expect((await countsOf(proxy))[0]).toBe(left);
  expect(fleet.ended).toEqual([]);
});

test('client move takes one device to the named node, and client inspect tells its story', async () => {
  const fleet = await startFleet(proxy.port, 9);
  const { node: from } = await clientOf(proxy, 'device-3');
  const to = otherThan(from);
  expect(await cli(proxy, 'client', 'move', 'device-3', to)).toMatchObject({
    code: 0,
    stdout: `client device-3 is at ${to}\n`,
  });
  await fleet.hear('after the move');
  expect(fleet.ended).toEqual([]);
  const { reattachments, session } = await clientOf(proxy, 'device-3');
  expect(reattachments).toBe(1);
  expect(session).toMatchObject({ subscriptions: 1, history: [{ cause: 'move', from, to }] });
  const { stdout } = await cli(proxy, 'client', 'inspect', 'device-3');
  expect(stdout).toMatch(/^subscriptions +1$/m);
  expect(stdout).toMatch(/^movable +yes$/m);
  expect(stdout).toMatch(new RegExp(`RE-ATTACHED AT.*\\n.* move +${from} +${to} +\\d\\.\\d{3} s  rebuilt`));
});

test('client move says why it cannot', async () => {
  await startFleet(proxy.port, 2);
  const other = otherThan((await clientOf(proxy, 'device-0')).node);
  const stderr = async (...args: string[]) => {
    const { code, stderr } = await cli(proxy, 'client', 'move', ...args);
    expect(code).toBe(1);
    return stderr;
  };
  expect(await stderr('nobody', other)).toContain('no device with client id "nobody" is connected');
  const unknown = /no node "node-9" \(did you mean 'node-[123]'\?\): nodes are node-1, node-2, node-3/;
  expect(await stderr('device-0', 'node-9')).toMatch(unknown);
  await cli(proxy, 'node', 'disable', other);
  expect(await stderr('device-0', other)).toContain(`node ${other} is disabled; enable it first`);
});

test('rebalance evens the nodes out after one came back empty, and no device is disconnected', async () => {
  const fleet = await startFleet(proxy.port, 60);
  expect((await cli(proxy, 'node', 'drain', 'node-3')).code).toBe(0);
  await cli(proxy, 'node', 'enable', 'node-3');
  expect(await countsOf(proxy)).toEqual([30, 30, 0]);

  const { code, stdout } = await cli(proxy, 'rebalance', '--rate', '200');
  expect(stdout).toMatch(/default is even; sessions moved: \d+, fullest and emptiest node differ by \d+%/);
  expect(code).toBe(0);
  const counts = await countsOf(proxy);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2);
  await fleet.hear('after the rebalance');
  expect(fleet.ended).toEqual([]);

  const again = await cli(proxy, 'rebalance', '--json');
  expect(JSON.parse(again.stdout)).toMatchObject({
    state: 'done',
    moved: 0,
    pools: ['default'],
    tolerance: 0.1,
  });
});

test('what is said to one proxy of a cluster holds for all: drain and rebalance', async () => {
  const redis = await startRedis();
  const brokers = await Promise.all([startMosquitto(), startMosquitto()]);
  const nodes = brokers.map(({ url }, i) => ({ id: `node-${i + 1}`, url }));
  const config = {
    listeners: [{ url: 'mqtt://127.0.0.1:0', mode: 'session' }],
    membership: { store: 'redis', url: redis.url, heartbeat: 0.2 },
    pools: { default: { nodes, slowStart: 0 } },
  };
  const [one, two] = [await startBreakwater(config), await startBreakwater(config)];
  await until(async () => (await one.api<unknown[]>('proxies')).length === 2, 'both proxies');
  const first = await startFleet(one.port, 12, 'one');
  const second = await startFleet(two.port, 12, 'two');
  await until(async () => (await countsOf(one)).reduce((a, b) => a + b) === 24, 'all devices to be counted');

  const { code, stdout } = await cli(one, 'node', 'drain', 'node-1', '--json');
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { state: 'done', left: 0, rate: 100 }]);
  expect(brokers[0]?.clients()).toEqual([]);
  expect(brokers[1]?.clients()).toHaveLength(24);

  const { node } = await clientOf(one, 'two-0');
  await cli(one, 'node', 'enable', 'node-1');
  expect(await cli(one, 'client', 'move', 'two-0', 'node-1')).toMatchObject({ code: 0 });
  expect([node, (await clientOf(two, 'two-0')).node]).toEqual(['node-2', 'node-1']);
  await until(async () => (await nodesOf(two))[0]?.state === 'enabled', 'the other proxy to hear of it');
  expect(await cli(two, 'rebalance')).toMatchObject({ code: 0 });
  const loads = brokers.map((broker) => broker.clients().length);
  expect(Math.abs((loads[0] ?? 0) - (loads[1] ?? 0))).toBeLessThanOrEqual(2);
  await Promise.all([first.hear('at one'), second.hear('at the other')]);
  expect([...first.ended, ...second.ended]).toEqual([]);
});

test('rebalance refuses what makes no sense', async () => {
  const refused = await cli(proxy, 'rebalance', '--pool', 'hashed');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('pool hashed has the strategy client-id-hash');
  const unknown = await cli(proxy, 'rebalance', '--pool', 'meters');
  expect(unknown.stderr).toContain('no pool "meters"; pools are default, hashed');
  expect((await cli(proxy, 'rebalance', '--tolerance', 'x')).code).toBe(2);
});
