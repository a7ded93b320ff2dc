import { once } from 'node:events';
import { generate } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import type { NodeView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds, connectBytes, connectDevices, openSocket } from '../support/devices.ts';
import { endOf } from '../support/fake-node.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';

// What one device does, or what a broker does to one device, is held against no node.

const v3 = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 60 } as const;

/** Brokers end the link without a CONNACK; no login is needed for any of these. */
const badConnects: Record<string, (id: string) => Buffer> = {
  'a control character in the client id': (id) => connectBytes(`${id}\u0001id`),
  'a filter as topic of the Will': (id) => {
    const topic = 'a/_/b';
    const will = { topic, payload: Buffer.from('.'), qos: 0, retain: false } as const;
    const bytes = generate({ ...v3, clientId: id, will });
    bytes.write('a/+/b', bytes.indexOf(topic));
    return bytes;
  },
  'a Maximum Packet Size of 2': (id) =>
    generate({ ...v3, protocolVersion: 5, clientId: id, properties: { maximumPacketSize: 2 } }),
};

async function healths(breakwater: Breakwater): Promise<string[]> {
  return (await breakwater.api<NodeView[]>('nodes')).map(({ health }) => health);
}

async function isReady({ adminUrl }: Breakwater): Promise<number> {
  return (await fetch(`${adminUrl}/readyz`)).status;
}

/** How a connection ends that begins with these bytes, and all that it hears. */
async function endOfConnect(port: number, bytes: Buffer): Promise<string> {
  const socket = openSocket(port);
  let heard = '';
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('hex');
  });
  socket.write(bytes);
  const end = await endOf(socket);
  socket.destroy();
  return `${heard} ${end}`;
}

describe.each(['session', 'relay'])('bad CONNECTs in %s mode', (mode) => {
  test('are closed as the broker closes them, after one more try, and every node stays healthy', async () => {
    const brokers = await Promise.all([startMosquitto(), startMosquitto(), startMosquitto()]);
    const breakwater = await startBreakwater({
      listeners: [{ url: 'mqtt://127.0.0.1:0', mode }],
      pools: { default: { nodes: brokers.map(({ url }) => ({ url })), health: { interval: 2 } } },
    });
    await until(async () => (await healths(breakwater)).every((health) => health === 'healthy'), 'probes');
    const seen = new Set<string>();
    for (const [name, bytes] of Object.entries(badConnects)) {
      const direct = await endOfConnect(brokers[0]?.port ?? 0, bytes('direct'));
      for (let round = 0; round < 4; round++) {
        expect([name, await endOfConnect(breakwater.port, bytes(`bad-${round}`))]).toEqual([name, direct]);
        for (const health of await healths(breakwater)) seen.add(health);
        expect(await isReady(breakwater)).toBe(200);
      }
    }
    expect([...seen]).toEqual(['healthy']);
    expect(breakwater.logs().filter(({ level, node }) => level !== 'info' && node !== undefined)).toEqual([]);
    const tries = brokers.map((broker) => broker.output().split('bad-3').length - 1);
    expect(tries.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(2 * 3);
  });
});

test('a broker that has as many connections as it may is busy, not unhealthy; others are asked first', async () => {
  const full = await startMosquitto({ config: 'max_connections 5' });
  const fuller = await startMosquitto({ config: 'max_connections 5' });
  const roomy = await startMosquitto();
  const brokers = [full, fuller, roomy];
  const breakwater = await startBreakwater({
    pools: { default: { nodes: brokers.map(({ url }) => ({ url })), health: { interval: 2 } } },
  });
  const busy = (): unknown[] =>
    breakwater
      .logs()
      .filter(({ msg }) => msg === 'node lives, and takes nobody now')
      .map(({ node }) => node);
  const ends: Promise<string>[] = [];
  const devices = await connectDevices(breakwater.port, clientIds(12));
  // Whoever comes while it is not known yet may be closed, as a full broker closes it.
  for (let i = 0; busy().length < 2; i++) {
    ends.push(endOfConnect(breakwater.port, connectBytes(`more-${i}`)));
    await Promise.race([ends.at(-1), new Promise((resolve) => setTimeout(resolve, 50))]);
  }
  const later = await connectDevices(breakwater.port, clientIds(100, 'later'));
  expect(later.map(({ code }) => code)).toEqual(later.map(() => 0));
  expect(devices).toHaveLength(12);
  expect(roomy.clients().filter((id) => id.startsWith('later'))).toHaveLength(100);
  expect(await healths(breakwater)).not.toContain('unhealthy');
  expect(await isReady(breakwater)).toBe(200);
  devices[0]?.socket.write(Buffer.of(0xc0, 0));
  expect([...(await once(devices[0]?.socket as never, 'data'))[0]]).toEqual([0xd0, 0]);
});
