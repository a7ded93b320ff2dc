import { once } from 'node:events';
import { beforeAll, expect, test } from 'vitest';
import type { Broker } from '../../cluster/broker.ts';
import { startAedes } from '../support/aedes.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { clientIds, connectDevice, connectDevices, openSocket, placement } from '../support/devices.ts';
import { until } from '../support/wait.ts';

let brokers: Broker[];
let breakwater: Breakwater;
beforeAll(async () => {
  brokers = await startAedes(3);
  breakwater = await startBreakwater({
    proxy: { threads: 2 },
    listeners: [{ url: 'mqtt://127.0.0.1:0' }, { url: 'mqtt://127.0.0.2:0', maxConnections: 3 }],
    pools: {
      default: { strategy: 'client-id-hash', nodes: brokers.map(({ url }) => ({ url })) },
      small: { nodes: brokers.map(({ url }, i) => ({ id: `small-${i}`, url, maxConnections: 2 })) },
    },
    rules: [
      { when: { clientId: '^small-' }, pool: 'small' },
      { when: { clientId: '^old-', protocolVersion: 4 }, reject: 'server-moved' },
      { when: { clientId: '^old-', listener: 'mqtt://127.0.0.1:0' }, reject: 'use-another-server' },
      { when: { clientId: '^site-([0-9]+)-', source: ['127.0.0.0/8'] }, key: '$1' },
    ],
    limits: {
      deny: ['127.0.66.0/24'],
      maxConnectionsPerSource: 40,
      connectRatePerSource: 100,
      holdBack: { after: 5, firstDelay: 1 },
    },
  });
});

async function rejected(reason: string): Promise<number> {
  const text = await (await fetch(`${breakwater.adminUrl}/metrics`)).text();
  return Number(new RegExp(`connect_rejected_total\\{reason="${reason}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
}

test('a rule’s key keeps the devices of a site together, and sites apart', async () => {
  const sites = Array.from({ length: 12 }, (_, site) => site);
  for (const site of sites) {
    await connectDevices(breakwater.port, clientIds(5, `site-${site}-meter`), () => ({
      localAddress: `127.0.1.${site + 1}`,
    }));
  }
  const at = await until(() => {
    const where = placement(brokers);
    return where.size === 60 && where;
  }, 'all devices at the brokers');
  const nodesOf = (site: number) =>
    new Set([...at].filter(([id]) => id.startsWith(`site-${site}-`)).map(([, broker]) => broker));
  expect(sites.map((site) => nodesOf(site).size)).toEqual(sites.map(() => 1));
  expect(new Set(at.values()).size).toBeGreaterThan(1);
});

test('a refusal by rule has its reason code in both generations of the protocol', async () => {
  const code = async (protocolVersion: 4 | 5) =>
    (await connectDevice(breakwater.port, 'old-1', { protocolVersion })).code;
  expect(await code(4)).toBe(3);
  expect(await code(5)).toBe(0x9c);
});

test('a node has no more connections than it may, over all threads; then the device is told', async () => {
  const devices = await connectDevices(breakwater.port, clientIds(6, 'small'), (i) => ({
    localAddress: `127.0.2.${i + 1}`,
  }));
  const nodes = await breakwater.api<{ id: string; connections: number }[]>('nodes');
  const small = nodes.filter(({ id }) => id.startsWith('small-'));
  expect(small.map(({ connections }) => connections)).toEqual([2, 2, 2]);
  const more = async (protocolVersion: 4 | 5) =>
    (await connectDevice(breakwater.port, 'small-more', { protocolVersion })).code;
  expect([await more(5), await more(4)]).toEqual([0x97, 3]);
  expect(await rejected('nodes-full')).toBe(2);
  await breakwater.api('nodes/small-0', { method: 'PATCH', body: { maxConnections: 3 } });
  await until(async () => (await more(4)) === 0, 'the place that was granted');
  for (const { socket } of devices) socket.destroy();
});

test('a listener has no more connections than it may, over all threads', async () => {
  const address = { host: '127.0.0.2', localAddress: '127.0.4.1' };
  const port = breakwater.ports[1] ?? 0;
  const devices = await connectDevices(port, clientIds(3, 'few'), () => address);
  const more = async () => (await connectDevice(port, 'few-more', { ...address, protocolVersion: 5 })).code;
  expect(await more()).toBe(0x97);
  expect(await rejected('listener-connections')).toBe(1);
  for (const { socket } of devices) socket.destroy();
});

test('a device that connects over and over is made to wait, others are not', async () => {
  const connect = (clientId: string) =>
    connectDevice(breakwater.port, clientId, { localAddress: '127.0.3.1' }).then(({ socket }) =>
      socket.destroy(),
    );
  const startedAt = performance.now();
  for (let i = 0; i < 5; i++) await connect('flapping');
  let waits = true;
  const sixth = connect('flapping').then(() => {
    waits = false;
    return performance.now() - startedAt;
  });
  await connect('calm');
  expect(waits).toBe(true);
  expect(await sixth).toBeGreaterThan(950); // a second, by another clock
  const text = await (await fetch(`${breakwater.adminUrl}/metrics`)).text();
  expect(text).toContain('connects_delayed_total{cause="flapping"} 1');
});

test('a denied network is told so, few devices at a time; the others are reset before their first byte', async () => {
  const from = { localAddress: '127.0.66.1' };
  const code = async (protocolVersion: 4 | 5) =>
    (await connectDevice(breakwater.port, 'denied', { ...from, protocolVersion })).code;
  expect([await code(4), await code(5)]).toEqual([5, 0x8a]);
  const sockets = Array.from({ length: 40 }, () => openSocket(breakwater.port, '127.0.66.1'));
  expect(await Promise.any(sockets.map((socket) => once(socket, 'error')))).toMatchObject([
    { code: 'ECONNRESET' },
  ]);
  await until(async () => (await rejected('source-denied')) === 42, 'the count');
  expect(sockets.map(({ bytesRead }) => bytesRead)).toEqual(sockets.map(() => 0));
  for (const socket of sockets) socket.destroy();
});

test('a source has no more connections than it may, over all threads, and gets places back', async () => {
  const from = { localAddress: '127.0.77.1' };
  const devices = await connectDevices(breakwater.port, clientIds(40, 'full'), () => from);
  const before = await rejected('source-connections');
  await until(
    () =>
      connectDevice(breakwater.port, 'one-more', { ...from, protocolVersion: 5 }).then(
        ({ code }) => code === 0x97,
        () => false, // so many have been told of late that this one is reset
      ),
    'the reason',
  );
  expect(await rejected('source-connections')).toBeGreaterThan(before);
  expect((await connectDevice(breakwater.port, 'other', { localAddress: '127.0.77.2' })).code).toBe(0);
  devices[0]?.socket.destroy();
  await until(
    () =>
      connectDevice(breakwater.port, 'one-more', from).then(
        ({ code }) => code === 0,
        () => false,
      ),
    'the place of the device that left',
  );
});

test('a source that connects too fast is turned away, others are not', async () => {
  const burst = Array.from({ length: 400 }, () => openSocket(breakwater.port, '127.0.88.1'));
  await until(
    async () => (await rejected('source-rate')) + (await rejected('source-connections')) > 300,
    'refusals',
  );
  expect((await connectDevice(breakwater.port, 'calm', { localAddress: '127.0.88.2' })).code).toBe(0);
  for (const socket of burst) socket.destroy();
});
