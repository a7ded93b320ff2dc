import { EventEmitter, once } from 'node:events';
import { connect as tcp } from 'node:net';
import { deserialize, serialize } from 'node:v8';
import { Redis } from 'ioredis';
import type { IClientOptions, MqttClient } from 'mqtt';
import { connectAsync } from 'mqtt';
import { afterEach, describe, expect, test } from 'vitest';
import type { Broker } from '../../cluster/broker.ts';
import { startBroker } from '../../cluster/broker.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import { inMemoryCluster } from '../../cluster/in-memory.ts';
import { clusterOfParent, serveChild } from '../../cluster/over-ipc.ts';
import { redisCluster } from '../../cluster/over-redis.ts';
import { startAedes } from '../support/aedes.ts';
import { freePort } from '../support/free-port.ts';
import { redisCommand, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

const open: MqttClient[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.endAsync(true)));
});

async function device(
  broker: Broker,
  options: IClientOptions = {},
): Promise<MqttClient & { inbox: string[] }> {
  const client = await connectAsync(broker.url, { reconnectPeriod: 0, protocolVersion: 4, ...options });
  open.push(client);
  const inbox: string[] = [];
  client.on('message', (topic, payload) => inbox.push(`${topic} ${payload}`));
  return Object.assign(client, { inbox });
}

const redis = startRedis();
const clusters = {
  'in one process': () => startAedes(3),
  'over Redis': async () =>
    startAedes(
      3,
      redisCluster((await redis).url, () => {}),
    ),
  'of processes with one parent': () => startAedes(3, overIpc()),
};

/** Parent and children in one process, with what the channel between processes does to a message. */
function overIpc(): Cluster {
  const shared = inMemoryCluster();
  return {
    async join() {
      const [parent, child] = [new EventEmitter(), new EventEmitter()];
      const carry = (message: unknown, to: EventEmitter, sent: (failure: null) => void) => {
        const bytes = serialize(message);
        setImmediate(() => {
          to.emit('message', deserialize(bytes));
          sent(null);
        });
      };
      const childEnd = Object.assign(child, {
        connected: true,
        send: (message: unknown, sent: () => void) => carry(message, parent, sent),
      });
      const parentEnd = Object.assign(parent, {
        send: (message: unknown, _handle: undefined, _options: undefined, sent: (failure: null) => void) =>
          carry(message, child, sent),
      });
      const onBehind = () => {
        throw new Error('a child that reads is not behind');
      };
      serveChild(childEnd, await shared.join(), onBehind);
      return clusterOfParent(parentEnd).join();
    },
  };
}

describe.each(Object.entries(clusters))('a cluster %s', (_, startCluster) => {
  test.each([0, 1, 2] as const)('delivers QoS %i across nodes, in order and once', async (qos) => {
    const [a, b, c] = (await startCluster()) as [Broker, Broker, Broker];
    const subscribers = await Promise.all([device(a), device(b), device(c)]);
    for (const subscriber of subscribers) await subscriber.subscribeAsync('t/+', { qos });
    const publisher = await device(a);
    const sent = Array.from({ length: 50 }, (_, n) => `t/x ${n}`);
    for (const line of sent) await publisher.publishAsync('t/x', line.slice(4), { qos });
    for (const { inbox } of subscribers) {
      await until(() => inbox.length >= sent.length, 'all messages');
      expect(inbox).toEqual(sent);
    }
  });

  test('keeps a session for whichever node the device comes back to [MQTT-3.1.2-5]', async () => {
    const [a, b, c] = (await startCluster()) as [Broker, Broker, Broker];
    const session = { clientId: 'sleeper', clean: false };
    const before = await device(a, session);
    await before.subscribeAsync('night/#', { qos: 1 });
    await before.endAsync();
    await until(() => a.clients().length === 0, 'the device to be gone');
    await (await device(b)).publishAsync('night/1', 'missed', { qos: 1 });
    const after = await device(c, session);
    await until(() => after.inbox.length === 1, 'the queued message');
    expect(after.inbox).toEqual(['night/1 missed']);
  });

  test('acknowledges a QoS 1 message when it is stored: a device that comes back with the PUBACK finds it', async () => {
    const [a, b, c] = (await startCluster()) as [Broker, Broker, Broker];
    const publisher = await device(b);
    for (let round = 0; round < 20; round++) {
      const session = { clientId: `sleeper-${round}`, clean: false };
      const before = await device(a, session);
      await before.subscribeAsync(`night/${round}`, { qos: 1 });
      await before.endAsync();
      await until(() => a.clients().length === 0, 'the device to be gone');
      await publisher.publishAsync(`night/${round}`, 'missed', { qos: 1 });
      const after = await device(c, session);
      await until(() => after.inbox.length === 1, 'the queued message');
      await after.endAsync();
    }
  });

  test('gives retained messages to subscribers of any node [MQTT-3.3.1-6]', async () => {
    const [a, b] = (await startCluster()) as [Broker, Broker];
    await (await device(a)).publishAsync('state/lamp', 'on', { qos: 1, retain: true });
    const late = await device(b);
    await late.subscribeAsync('state/+', { qos: 1 });
    await until(() => late.inbox.length === 1, 'the retained message');
    expect(late.inbox).toEqual(['state/lamp on']);
  });

  test('closes the older connection of a client id at another node [MQTT-3.1.4-2]', async () => {
    const [a, b] = (await startCluster()) as [Broker, Broker];
    const older = await device(a, { clientId: 'twin' });
    const closed = new Promise<void>((resolve) => older.once('close', () => resolve()));
    await device(b, { clientId: 'twin' });
    await closed;
    expect([a.clients(), b.clients()]).toEqual([[], ['twin']]);
  });

  test('a device that another node has taken over is alive: its Will goes with it', async () => {
    const [a, b, c] = (await startCluster()) as [Broker, Broker, Broker];
    const heir = await device(c);
    await heir.subscribeAsync('wills', { qos: 1 });
    const will = { topic: 'wills', payload: Buffer.from('gone'), qos: 1, retain: false } as const;
    await device(a, { clientId: 'mover', will });
    await device(b, { clientId: 'mover', will });
    await until(() => a.clients().length === 0, 'the device to have left the first node');
    await (await device(a)).publishAsync('wills', 'none so far', { qos: 1 });
    await until(() => heir.inbox.length > 0, 'a message');
    expect(heir.inbox).toEqual(['wills none so far']);
    await b.abort();
    await until(() => heir.inbox.length > 1, 'the will');
    expect(heir.inbox.slice(1)).toEqual(['wills gone']);
  });

  test('publishes the will of a device whose node is killed', async () => {
    const [a, b] = (await startCluster()) as [Broker, Broker];
    const heir = await device(b);
    await heir.subscribeAsync('wills', { qos: 1 });
    await device(a, { will: { topic: 'wills', payload: Buffer.from('gone'), qos: 1, retain: false } });
    await a.abort();
    await until(() => heir.inbox.length === 1, 'the will');
    expect(heir.inbox).toEqual(['wills gone']);
  });

  test('goes on when one node stops', async () => {
    const cluster = (await startCluster()) as [Broker, Broker, Broker];
    const [a, b, c] = cluster;
    await device(a);
    const subscriber = await device(b);
    await subscriber.subscribeAsync('t', { qos: 1 });
    await a.stop();
    await (await device(c)).publishAsync('t', 'still here', { qos: 1 });
    await until(() => subscriber.inbox.length === 1, 'the message');
    await expect(once(tcp(a.port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

test('over Redis, devices that subscribe to everything hear what devices say, and nothing else that is said there', async () => {
  const { url } = await startRedis();
  const changes = '{breakwater:default}:changes';
  const [a, b] = (await startAedes(
    2,
    redisCluster(url, () => {}),
  )) as [Broker, Broker];
  const watcher = await device(a);
  await watcher.subscribeAsync(['#', changes], { qos: 1 });
  const proxy = new Redis(url);
  const heard: string[] = [];
  proxy.on('message', (channel) => heard.push(channel));
  await proxy.subscribe(changes);
  for (const said of ['12', '{"v":1}', '\xc1']) await redisCommand(url, 'publish', changes, said);
  await until(() => heard.length === 3, 'what was said');
  await (await device(b)).publishAsync(changes, 'of a device', { qos: 1 });
  await until(() => watcher.inbox.length > 0, 'the message');
  expect(watcher.inbox).toEqual([`${changes} of a device`]);
  await proxy.ping();
  expect(heard).toHaveLength(3);
  proxy.disconnect();
});

test('a node answers MQTT 5.0 with CONNACK 0x01 [MQTT-3.1.2-2]', async () => {
  const [broker] = (await startAedes(1)) as [Broker];
  const socket = tcp(broker.port, '127.0.0.1');
  socket.write(Buffer.from([0x10, 14, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 2, 0, 60, 0, 0, 1, 0x61]));
  const [answer] = await once(socket, 'data');
  expect([...answer]).toEqual([0x20, 2, 0, 1]);
  socket.destroy();
});

test('a taken port is told with the flag that changes it', async () => {
  const [broker] = (await startAedes(1)) as [Broker];
  const second = startBroker({ host: '127.0.0.1', port: broker.port, id: 'second' });
  await expect(second).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  await expect(second).rejects.toThrow(/:\d+ is taken.*--listen/);
});

test('a Redis that is away is told without its password', async () => {
  const url = `redis://user:secret@127.0.0.1:${await freePort()}`;
  const broker = startBroker({ host: '127.0.0.1', port: 0, id: 'b', cluster: redisCluster(url, () => {}) });
  await expect(broker).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await expect(broker).rejects.toThrow(/^cannot reach Redis at redis:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
});
