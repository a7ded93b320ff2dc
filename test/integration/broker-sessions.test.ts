import { connect as tcp } from 'node:net';
import { Readable } from 'node:stream';
import { connectAsync } from 'mqtt';
import { generate, type Packet, parser } from 'mqtt-packet';
import { expect, test } from 'vitest';
import type { Broker } from '../../cluster/broker.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import { inMemoryCluster } from '../../cluster/in-memory.ts';
import { startAedes } from '../support/aedes.ts';
import { atEnd } from '../support/process.ts';
import { until } from '../support/wait.ts';

type Method = (...args: unknown[]) => unknown;

/** A cluster whose store answers one method in another way. */
function withMethod(name: string, replacement: (original: Method) => Method): Cluster {
  const cluster = inMemoryCluster();
  return {
    async join() {
      const membership = await cluster.join();
      const persistence = membership.persistence as Record<string, Method>;
      const original = (persistence[name] as Method).bind(persistence);
      persistence[name] = replacement(original);
      return membership;
    },
  };
}

/** A device that says what it is told to, and keeps what it gets. */
function rawDevice(broker: Broker, clientId: string): { say(packet: Packet): void; heard: Packet[] } {
  const socket = tcp(broker.port, '127.0.0.1').on('error', () => {});
  atEnd(() => socket.destroy());
  const heard: Packet[] = [];
  const packets = parser().on('packet', (packet) => heard.push(packet));
  socket.on('data', (chunk) => packets.parse(chunk));
  const say = (packet: Packet) => void socket.write(generate(packet));
  say({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId, clean: false, keepalive: 0 });
  return { say, heard };
}

async function mqttDevice(broker: Broker, clientId: string, clean: boolean) {
  const client = await connectAsync(broker.url, { reconnectPeriod: 0, clientId, clean });
  atEnd(() => client.endAsync(true));
  return client;
}

test('a device that comes back gets CONNACK, then what was queued, then what is new, each once [MQTT-3.2.0-1]', async () => {
  let open = (): void => {};
  let isSlow = false;
  let isAsked = false;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const cluster = withMethod('outgoingStream', (original) => (client) => {
    isAsked = isSlow;
    const queue = async function* () {
      if (isSlow) await gate;
      yield* original(client) as AsyncIterable<unknown>;
    };
    return Readable.from(queue());
  });
  const [a, b] = (await startAedes(2, cluster)) as [Broker, Broker];
  const before = rawDevice(a, 'sleeper');
  before.say({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 't', qos: 1 }] });
  await until(() => before.heard.some(({ cmd }) => cmd === 'suback'), 'the subscription');
  before.say({ cmd: 'disconnect' });
  await until(() => a.clients().length === 0, 'the device to be gone');

  const publisher = await mqttDevice(a, 'publisher', true);
  await publisher.publishAsync('t', 'queued', { qos: 1 });
  isSlow = true;
  const { heard } = rawDevice(b, 'sleeper');
  await until(() => isAsked, 'the queue to be read');
  await publisher.publishAsync('t', 'new', { qos: 1 });
  await publisher.publishAsync('t', 'newer', { qos: 0 });
  open();
  const told = () => heard.map((packet) => (packet.cmd === 'publish' ? `${packet.payload}` : packet.cmd));
  await until(() => told().includes('newer'), 'all messages');
  expect(told()).toEqual(['connack', 'queued', 'new', 'newer']);
});

test('a QoS 2 message is delivered once when its node dies between storing and publishing it [MQTT-4.3.3-2]', async () => {
  let isStuck = false;
  const cluster = withMethod('subscriptionsByTopic', (original) => (topic) => {
    return isStuck && topic === 't' ? new Promise(() => {}) : original(topic);
  });
  const [a, b, c] = (await startAedes(3, cluster)) as [Broker, Broker, Broker];
  const subscriber = await mqttDevice(c, 'subscriber', false);
  const inbox: string[] = [];
  subscriber.on('message', (_, payload) => inbox.push(`${payload}`));
  await subscriber.subscribeAsync('t', { qos: 2 });
  const message = { cmd: 'publish', topic: 't', qos: 2, messageId: 7, payload: 'x', retain: false } as const;

  isStuck = true;
  const first = rawDevice(a, 'publisher');
  await until(() => first.heard.length > 0, 'CONNACK');
  first.say({ ...message, dup: false });
  first.say({ cmd: 'pingreq' });
  await until(() => first.heard.some(({ cmd }) => cmd === 'pingresp'), 'the message to be taken');
  await a.abort();
  isStuck = false;

  const second = rawDevice(b, 'publisher');
  for (let times = 0; times < 2; times++) second.say({ ...message, dup: true });
  await until(() => second.heard.filter(({ cmd }) => cmd === 'pubrec').length === 2, 'PUBREC');
  second.say({ cmd: 'pubrel', messageId: 7 });
  second.say({ ...message, dup: false, payload: 'y' });
  await until(() => inbox.includes('y'), 'the next message');
  expect(inbox).toEqual(['x', 'y']);
});
