import { connectAsync } from 'mqtt';
import { describe, expect, test } from 'vitest';
import { RedisStore } from '../../src/membership/store/redis.ts';
import type { Membership, MembershipStore, ProxyBeat } from '../../src/membership/store/store.ts';
import { main, run } from '../support/cli.ts';
import { connectDevice } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { atEnd, type Spawned, start } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

const redis = await startRedis();
/** Heartbeats of 0.2 s: a lease is 0.6 s. */
const quick = ['--heartbeat', '0.2', '--redis', redis.url];
let clusters = 0;

interface View {
  readonly cluster: string;
  readonly store: MembershipStore;
  membership(): Membership;
}

/** A cluster of its own for each test, seen as a proxy sees it. */
async function newCluster(): Promise<View> {
  const cluster = `c${++clusters}`;
  const store = new RedisStore({ url: redis.url, cluster, proxyId: 'viewer', heartbeatMs: 100 });
  let membership: Membership = { nodes: new Map(), decisions: new Map(), bans: new Map() };
  await store.open({
    onMembership: (next) => {
      membership = next;
    },
    onProxies() {},
    onClaim() {},
    onAsk: async () => undefined,
    onSkipped() {},
    onUp() {},
  });
  atEnd(() => store.close());
  return { cluster, store, membership: () => membership };
}

function startCli(...args: readonly string[]): Spawned {
  return start(process.execPath, [main, ...args]);
}

function startBroker({ cluster }: View, ...args: readonly string[]): Spawned {
  const listen = ['--listen', 'mqtt://127.0.0.1:0', '--id', 'b'];
  return startCli('broker', '--join', cluster, ...listen, ...quick, ...args);
}

function startAgent({ cluster }: View, node: string, ...args: readonly string[]): Spawned {
  return startCli('agent', '--cluster', cluster, '--node', node, '--id', 'a', ...quick, ...args);
}

function appears(view: View, id: string) {
  return until(() => view.membership().nodes.get(id), `node ${id} to register`);
}

function goes(view: View, id: string) {
  return until(() => !view.membership().nodes.has(id), `node ${id} to be gone`);
}

function drains(view: View, id: string) {
  return until(() => view.membership().nodes.get(id)?.leaving, `node ${id} to drain`);
}

function says(process: Spawned, text: string) {
  return until(() => process.output().includes(text), `"${text}" in ${process.output()}`);
}

const proxy: ProxyBeat = {
  id: 'p1',
  version: '0',
  host: 'h',
  pid: 1,
  engine: 'node',
  threads: 1,
  listeners: [],
  connections: 0,
  nodeConnections: [],
  startedAt: '2026-01-01T00:00:00Z',
};

describe('breakwater broker --join', () => {
  test('registers where others reach it, and on SIGTERM drains until its last device has left', async () => {
    const view = await newCluster();
    const all = ['--listen', 'mqtt://0.0.0.0:0'];
    const broker = startBroker(view, ...all, '--pool', 'meters', '--weight', '7');
    const node = await appears(view, 'b');
    expect(node.url).not.toContain('0.0.0.0');
    expect(node).toMatchObject({ pool: 'meters', weight: 7, source: 'self', late: false });
    const port = Number(new URL(node.url).port);
    const first = await connectDevice(port, 'first');
    broker.kill('SIGTERM');
    await drains(view, 'b');
    const last = await connectDevice(port, 'last'); // one that a proxy had already sent
    first.socket.destroy();
    last.socket.destroy();
    await goes(view, 'b');
    expect(view.membership().decisions.has('b')).toBe(false);
    expect(await broker.exited).toBe(0);
  });

  test.each([
    ['the grace has passed', ['--grace', '0.3'], 1],
    ['a second signal comes', ['--grace', '3600'], 2],
  ])('waits for devices no longer when %s', async (_, args, signals) => {
    const view = await newCluster();
    const broker = startBroker(view, ...args);
    const { url } = await appears(view, 'b');
    const { socket } = await connectDevice(Number(new URL(url).port), 'stays');
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    broker.kill('SIGTERM');
    await drains(view, 'b');
    if (signals === 2) broker.kill('SIGINT');
    await Promise.all([goes(view, 'b'), closed]);
    expect(await broker.exited).toBe(0);
  });

  test('is late after SIGKILL, then forgotten; back before that, it is the same node', async () => {
    const view = await newCluster();
    const args = ['--advertise', 'mqtt://broker.example:2883', '--forget-after', '1'];
    const first = startBroker(view, ...args);
    expect(await appears(view, 'b')).toMatchObject({ url: 'mqtt://broker.example:2883' });
    first.kill('SIGKILL');
    await until(() => view.membership().nodes.get('b')?.late, 'the node to be late');
    const second = startBroker(view, ...args);
    await until(() => view.membership().nodes.get('b')?.late === false, 'the node to be back');
    second.kill('SIGKILL');
    await goes(view, 'b');
  });

  test('while Redis is away keeps its devices, and acknowledges nothing that it cannot store', async () => {
    const view = await newCluster();
    const broker = startBroker(view);
    const { url } = await appears(view, 'b');
    const device = await connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, keepalive: 1 });
    atEnd(() => device.endAsync(true));
    const sender = await connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0 });
    atEnd(() => sender.endAsync(true));
    const inbox: string[] = [];
    device.on('message', (_, payload) => inbox.push(String(payload)));
    await device.subscribeAsync('t', { qos: 1 });
    await redis.stop();
    await says(broker, 'no heartbeat');
    await device.publishAsync('t', 'lost', { qos: 0 });
    await says(broker, 'Redis: '); // about the message
    let acknowledged = false;
    sender.publish('t', 'unstored', { qos: 1 }, (error) => {
      acknowledged = error == null;
    });
    await until(() => !sender.connected, 'the sender to be told so by the end of its connection');
    expect(acknowledged).toBe(false);
    await redis.restart();
    await says(broker, 'node b is heard again');
    await until(async () => {
      await device.publishAsync('t', 'heard', { qos: 1 });
      return inbox.includes('heard');
    }, 'the bus to be back');
    expect(device.connected).toBe(true);
  });

  test('refuses a Redis that cannot hold sessions, without showing its password', async () => {
    const { code, stderr } = await run([
      'broker',
      '--redis',
      'redis+sentinel://:secret@127.0.0.1/m',
      '--join',
    ]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('single Redis') });
    expect(stderr).not.toContain('secret');
  });

  test('waits for a Redis that is away, says so once, and stops when it is told to', async () => {
    const away = ['--redis', `redis://user:secret@127.0.0.1:${await freePort()}`];
    const broker = startCli('broker', '--listen', 'mqtt://127.0.0.1:0', '--join', ...away);
    await says(broker, 'cannot reach Redis');
    broker.kill('SIGTERM');
    expect(await broker.exited).toBe(0);
    expect(broker.output().match(/cannot reach Redis/g)).toHaveLength(1);
    expect(broker.output()).not.toContain('secret');
  });
});

describe('breakwater agent', () => {
  test('beats while its broker and Redis are there, and says once of each that it is not', async () => {
    const view = await newCluster();
    const broker = await startMosquitto();
    const agent = startAgent(view, broker.url, '--probe', 'tcp');
    expect(await appears(view, 'a')).toMatchObject({ url: broker.url, source: 'self', late: false });
    await says(agent, 'is registered'); // others see it before the agent has been answered
    broker.kill('SIGKILL');
    await until(() => view.membership().nodes.get('a')?.late, 'the node to be late');
    await says(agent, 'ECONNREFUSED');
    await broker.restart();
    await until(() => view.membership().nodes.get('a')?.late === false, 'the node to be back');
    const told = (text: string) => agent.output().split(text).length - 1;
    expect(told('no heartbeat')).toBe(1);
    await until(() => told('node a is heard again') === 1, 'the agent to say so');
    await redis.stop();
    await until(() => told('no heartbeat') === 2, 'the agent to say that Redis is away');
    await redis.restart();
    await until(() => told('node a is heard again') === 2, 'the agent to say that Redis is back');
    await appears(view, 'a');
    expect(told('no heartbeat')).toBe(2);
  });

  test('beats no more for a broker that hangs, if it asks with mqtt', async () => {
    const view = await newCluster();
    const broker = await startMosquitto();
    startAgent(view, broker.url, '--probe', 'mqtt', '--forget-after', '0.5');
    await appears(view, 'a');
    broker.kill('SIGSTOP');
    await goes(view, 'a');
    broker.kill('SIGCONT');
    await appears(view, 'a');
  });

  test('registers nothing before the broker serves', async () => {
    const view = await newCluster();
    const agent = startAgent(view, `mqtt://127.0.0.1:${await freePort()}`);
    await says(agent, 'no heartbeat');
    agent.kill('SIGTERM');
    expect(await agent.exited).toBe(0);
    expect(view.membership()).toEqual({ nodes: new Map(), decisions: new Map(), bans: new Map() });
  });

  test('on SIGTERM drains until no proxy has a device there any more', async () => {
    const view = await newCluster();
    const broker = await startMosquitto();
    const agent = startAgent(view, broker.url);
    await appears(view, 'a');
    let beats = 0;
    const beatBoth = async (connections: number) => {
      await view.store.beatProxy(
        { ...proxy, nodeConnections: connections > 0 ? [['a', connections]] : [] },
        60_000,
      );
      await view.store.beatProxy({ ...proxy, id: 'p2' }, 60_000);
      beats++;
    };
    await beatBoth(2);
    agent.kill('SIGTERM');
    await drains(view, 'a');
    await until(() => beatBoth(1).then(() => beats > 20), 'some time'); // half a second, in which it looks several times
    expect(view.membership().nodes.has('a')).toBe(true);
    await until(() => beatBoth(0).then(() => !view.membership().nodes.has('a')), 'node a to be gone');
    expect(await agent.exited).toBe(0);
    expect(await connectDevice(broker.port, 'still-served')).toMatchObject({ code: 0 });
  });
});
