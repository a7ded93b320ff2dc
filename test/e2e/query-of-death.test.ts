import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds, connectDevice, connectDevices, type Device, endDevices } from '../support/devices.ts';
import { endOf } from '../support/fake-node.ts';
import { freePort } from '../support/free-port.ts';
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
  const port = await freePort(); // nobody else is to stand there for a broker that died
  await once(server.listen(port, '127.0.0.1'), 'listening');
  atEnd(() => server.close());
  return { url: `mqtt://127.0.0.1:${port}`, isDead: () => isDead };
}

function publish(topic: string, payload: string, messageId: number, protocolVersion: 4 | 5 = 4): Buffer {
  const packet = { cmd: 'publish', topic, payload, qos: 1, messageId, dup: false, retain: false } as const;
  return generate(packet, { protocolVersion });
}

/** QoS 1 traffic of every device until the test is done, and how many of these ever lost their connection. */
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
  }, 10);
  onTestFinished(() => {
    clearInterval(timer);
    endDevices(devices);
  });
  return closed;
}

describe('one proxy with five brokers for each version', () => {
  type Nodes = Awaited<ReturnType<typeof fragile>>[];
  const nodesOf = new Map<4 | 5, Nodes>();
  let breakwater: Breakwater;
  beforeAll(async () => {
    for (const version of [4, 5] as const) {
      const brokers = await Promise.all(Array.from({ length: 5 }, () => startMosquitto()));
      nodesOf.set(version, await Promise.all(brokers.map(fragile)));
    }
    const pool = (version: 4 | 5) => ({ nodes: nodesOf.get(version)?.map(({ url }) => ({ url })) });
    breakwater = await startBreakwater({
      proxy: { threads: 1 }, // who is at its turn at a node of another thread then is a suspect too (decision 14)
      listeners: ['four', 'five'].map((pool) => ({ url: 'mqtt://127.0.0.1:0', pool })),
      pools: { four: pool(4), five: pool(5) },
      limits: { holdBack: { maxDelay: 2 } },
    });
  });

  test.each([
    4, 5,
  ] as const)('a PUBLISH that kills brokers kills two of five; its device is told, and nobody else disturbed (version %i)', async (version) => {
    const nodes = nodesOf.get(version) as Nodes;
    const port = breakwater.ports[version - 4] as number;
    const [calm, culprit] = [`calm-${version}`, `culprit-${version}`];
    const devices = await connectDevices(port, clientIds(5 * SESSIONS_PER_NODE, calm), () => ({
      keepAlive: 0,
    }));
    const closed = traffic(devices);
    const { socket } = await connectDevice(port, culprit, { protocolVersion: version });
    const before = await heldBack(breakwater);
    const heard: Buffer[] = [];
    socket.on('data', (bytes: Buffer) => heard.push(bytes));
    const end = endOf(socket);
    socket.write(publish('secret/topic', DEADLY, 7, version));
    expect(await end).toBe('fin');
    expect(Buffer.concat(heard).toString('hex')).toBe(version === 5 ? 'e00183' : '');
    socket.destroy();
    // It comes back at once, and is held back, as one that comes for the first time is not.
    expect((await connectDevice(port, culprit, { protocolVersion: version })).code).toBe(0);
    expect((await heldBack(breakwater)) - before).toBe(1);

    const dead = () => nodes.filter(({ isDead }) => isDead()).length;
    const moved = () => movesOf(breakwater, calm);
    await until(() => moved() >= 2 * SESSIONS_PER_NODE - 10, 'the others to be moved');
    expect([dead(), closed]).toEqual([2, []]);
    const line = await until(
      () => breakwater.logs().find(({ packet, clientId }) => packet !== undefined && clientId === culprit),
      'the log line',
    );
    expect(line).toMatchObject({ level: 'error', packet: 'PUBLISH', qos: 1, topic: 'secret/topic' });
    expect(breakwater.output()).not.toContain(DEADLY);
  });
});

/** Connects so far that had to wait. */
async function heldBack({ adminUrl }: Breakwater): Promise<number> {
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
  return Number(/^breakwater_connects_delayed_total\{cause="flapping"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
}

/** Moves so far of devices whose ids begin so. */
function movesOf({ logs }: Breakwater, ids: string): number {
  return logs().filter(({ msg, clientId }) => msg === 'session moved' && String(clientId).startsWith(ids))
    .length;
}

test('two brokers that die one after the other under traffic disconnect nobody but who had its turn at that moment', async () => {
  const brokers = await Promise.all(Array.from({ length: 4 }, () => startMosquitto()));
  const breakwater = await startBreakwater({
    proxy: { threads: 1 },
    pools: { default: { nodes: brokers.map(({ url }) => ({ url })) } },
  });
  const devices = await connectDevices(breakwater.port, clientIds(4 * SESSIONS_PER_NODE), () => ({
    keepAlive: 0,
  }));
  const closed = traffic(devices);
  const moved = () => movesOf(breakwater, 'device');
  brokers[0]?.kill('SIGKILL');
  await until(() => moved() > SESSIONS_PER_NODE / 2, 'the first moves');
  brokers[1]?.kill('SIGKILL');
  await until(() => moved() + closed.length >= 2 * SESSIONS_PER_NODE, 'all moves');
  const taken = () => breakwater.logs().flatMap(({ packet, clientId }) => (packet ? [clientId] : []));
  const left = async () => (await breakwater.api<{ total: number }>('clients?limit=1')).total;
  await until(async () => (await left()) === devices.length - taken().length, 'all');
  await until(() => closed.length >= taken().length, 'the end of who was taken for the cause');
  expect(closed).toEqual(taken());
  expect(closed.length).toBeLessThanOrEqual(1);
});
