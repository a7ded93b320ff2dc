import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { clientIds, connectDevice, connectDevices, type Device } from '../support/devices.ts';
import { endOf } from '../support/fake-node.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { atEnd } from '../support/process.ts';
import { until } from '../support/wait.ts';

// One packet kills every broker that gets it. Two may, because after one death nobody can tell; never all.

const DEADLY = 'deadly-payload';
const SESSIONS_PER_NODE = 40;

/** A mosquitto that dies of one payload, as a broker with a fault would: at once, with all of its links. */
async function fragile(broker: Mosquitto): Promise<{ url: string; isDead: () => boolean }> {
  const sockets = new Set<Socket>();
  let isDead = false;
  const die = () => {
    isDead = true;
    broker.kill('SIGKILL');
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const server = createServer({ noDelay: true }, (socket) => {
    const link = connect({ port: broker.port, host: '127.0.0.1', noDelay: true });
    for (const each of [socket, link]) {
      sockets.add(each);
      each.on('error', () => {}).once('close', () => sockets.delete(each));
    }
    socket.once('close', () => link.destroy());
    link.once('close', () => socket.destroy());
    socket.on('data', (bytes) => {
      if (bytes.includes(DEADLY)) die();
      else link.write(bytes);
    });
    link.pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  atEnd(() => server.close());
  const { port } = server.address() as { port: number };
  return { url: `mqtt://127.0.0.1:${port}`, isDead: () => isDead };
}

function publish(topic: string, payload: string, messageId: number, protocolVersion: 4 | 5 = 4): Buffer {
  const packet = { cmd: 'publish', topic, payload, qos: 1, messageId, dup: false, retain: false } as const;
  return generate(packet, { protocolVersion });
}

/** QoS 1 traffic of every device, and how many of these ever lost their connection. */
function traffic(devices: readonly Device[]) {
  const closed: string[] = [];
  for (const { socket, clientId } of devices) {
    socket.resume();
    socket.once('close', () => closed.push(clientId));
  }
  let id = 0;
  const timer = setInterval(() => {
    id = (id % 60_000) + 1;
    for (let i = id % 10; i < devices.length; i += 10) devices[i]?.socket.write(publish('calm', 'x', id));
  }, 5);
  atEnd(() => clearInterval(timer));
  return closed;
}

test.each([
  4, 5,
] as const)('a PUBLISH that kills brokers kills two of five; its device is told, and nobody else disturbed (version %i)', async (version) => {
  const brokers = await Promise.all(Array.from({ length: 5 }, () => startMosquitto()));
  const nodes = await Promise.all(brokers.map(fragile));
  const breakwater = await startBreakwater({
    pools: { default: { nodes: nodes.map(({ url }) => ({ url })) } },
    limits: { holdBack: { maxDelay: 2 } },
  });
  const devices = await connectDevices(breakwater.port, clientIds(5 * SESSIONS_PER_NODE), () => ({
    keepAlive: 0,
  }));
  const closed = traffic(devices);
  const { socket } = await connectDevice(breakwater.port, 'culprit', { protocolVersion: version });
  const heard: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => heard.push(bytes));
  const end = endOf(socket);
  socket.write(publish('secret/topic', DEADLY, 7, version));
  expect(await end).toBe('fin');
  expect(Buffer.concat(heard).toString('hex')).toBe(version === 5 ? 'e00183' : '');
  socket.destroy();

  const dead = () => nodes.filter(({ isDead }) => isDead()).length;
  const moved = () => breakwater.logs().filter(({ msg }) => msg === 'session moved').length;
  await until(() => moved() >= 2 * SESSIONS_PER_NODE - 10, 'the others to be moved');
  expect([dead(), closed]).toEqual([2, []]);
  const line = await until(
    () => breakwater.logs().find(({ packet }) => packet !== undefined),
    'the log line',
  );
  expect(line).toMatchObject({
    level: 'error',
    clientId: 'culprit',
    packet: 'PUBLISH',
    qos: 1,
    topic: 'secret/topic',
  });
  expect(breakwater.output()).not.toContain(DEADLY);

  // It comes back and is held back, longer than one that comes for the first time.
  const startedAt = performance.now();
  await connectDevice(breakwater.port, 'culprit', { protocolVersion: version });
  expect(performance.now() - startedAt).toBeGreaterThan(1_000);
  expect([dead(), closed]).toEqual([2, []]);
});

test('two brokers that die one after the other under traffic disconnect nobody', async () => {
  const brokers = await Promise.all(Array.from({ length: 4 }, () => startMosquitto()));
  const breakwater = await startBreakwater({
    pools: { default: { nodes: brokers.map(({ url }) => ({ url })) } },
  });
  const devices = await connectDevices(breakwater.port, clientIds(4 * SESSIONS_PER_NODE), () => ({
    keepAlive: 0,
  }));
  const closed = traffic(devices);
  const moved = () => breakwater.logs().filter(({ msg }) => msg === 'session moved').length;
  brokers[0]?.kill('SIGKILL');
  await until(() => moved() > SESSIONS_PER_NODE / 2, 'the first moves');
  brokers[1]?.kill('SIGKILL');
  await until(() => moved() >= 2 * SESSIONS_PER_NODE, 'all moves');
  await until(
    async () => (await breakwater.api<{ total: number }>('clients?limit=1')).total === devices.length,
    'all',
  );
  expect(closed).toEqual([]);
});
