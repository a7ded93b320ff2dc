import { once } from 'node:events';
import { connect as tcp } from 'node:net';
import { connectAsync, type MqttClient } from 'mqtt';
import { generate, type IConnectPacket } from 'mqtt-packet';
import { afterEach, expect, test } from 'vitest';
import { startBroker } from '../../cluster/broker.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import { inMemoryCluster } from '../../cluster/in-memory.ts';
import { startAedes } from '../support/aedes.ts';
import { atEnd } from '../support/process.ts';
import { until } from '../support/wait.ts';

// A broker that answers CONNECT late, and is given up meanwhile.

const open: MqttClient[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.endAsync(true)));
});

const connect = generate({
  ...{
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clientId: 'mover',
    clean: false,
    keepalive: 0,
  },
  will: { topic: 'wills', payload: Buffer.from('gone'), qos: 1, retain: false },
} as IConnectPacket);
const goodbye = generate({ cmd: 'disconnect' });

/** One broker more in the cluster, which waits for its store before it takes a client on. */
async function slowBroker(cluster: Cluster) {
  const asked: (() => void)[] = [];
  const slow: Cluster = {
    async join() {
      const membership = await cluster.join();
      const store = membership.persistence as { putWill(client: object, will: object): Promise<void> };
      const putWill = store.putWill.bind(store);
      store.putWill = async (client, will) => {
        await new Promise<void>((resolve) => asked.push(resolve));
        await putWill(client, will);
      };
      return membership;
    },
  };
  const broker = await startBroker({ host: '127.0.0.1', port: 0, id: 'slow', cluster: slow });
  atEnd(() => broker.stop());
  return { broker, asked };
}

async function scene() {
  const cluster = inMemoryCluster();
  const [quick] = await startAedes(1, cluster);
  if (quick === undefined) throw new Error('no broker');
  const client = async (clientId: string) => {
    const made = await connectAsync(quick.url, {
      clientId,
      clean: false,
      reconnectPeriod: 0,
      protocolVersion: 4,
    });
    open.push(made);
    return made;
  };
  const heir = await client('heir');
  const inbox: string[] = [];
  heir.on('message', (_, payload) => inbox.push(`${payload}`));
  await heir.subscribeAsync('wills', { qos: 1 });
  const mover = await client('mover');
  const { broker, asked } = await slowBroker(cluster);
  const socket = tcp(broker.port, '127.0.0.1');
  await once(socket, 'connect');
  return { quick, heir, inbox, mover, broker, asked, socket };
}

test.each([
  ['with it', [Buffer.concat([connect, goodbye])]],
  ['behind it', [connect, goodbye]],
])('a CONNECT that was given up takes nothing, and fires no Will: DISCONNECT came %s [MQTT-3.14.4-3]', async (_, pieces) => {
  const { quick, heir, inbox, mover, broker, asked, socket } = await scene();
  const closed = once(socket, 'close');
  socket.resume();
  for (const piece of pieces) {
    socket.write(piece);
    await until(() => asked.length > 0, 'the broker to look after the Will');
  }
  socket.end();
  // The end of the link is seen at once only where DISCONNECT came with CONNECT. Else it lies behind what is not read.
  if (pieces.length === 1) await closed;
  else open.push(await connectAsync(broker.url, { reconnectPeriod: 0, protocolVersion: 4 })); // all has come before this one
  for (const answer of asked) answer();
  await closed;
  await heir.publishAsync('wills', 'none', { qos: 1 });
  await until(() => inbox.length > 0, 'a message');
  expect(inbox).toEqual(['none']);
  expect([mover.connected, quick.clients().sort(), broker.clients().includes('mover')]).toEqual([
    true,
    ['heir', 'mover'],
    false,
  ]);
});

test('a CONNECT that waits is answered, and takes the session', async () => {
  const { quick, mover, broker, asked, socket } = await scene();
  const gone = new Promise<void>((resolve) => mover.once('close', () => resolve()));
  socket.write(connect);
  await until(() => asked.length > 0, 'the broker to look after the Will');
  for (const answer of asked) answer();
  const [answer] = (await once(socket, 'data')) as [Buffer];
  await gone;
  expect([answer[0], quick.clients(), broker.clients()]).toEqual([0x20, ['heir'], ['mover']]);
  socket.destroy();
});
