import { expect, test } from 'vitest';
import type { ClientDetail, ClientList } from '../../src/admin/backend.ts';
import { run } from '../support/cli.ts';
import { startProxy } from '../support/cluster.ts';
import { clientIds, connectDevice, connectDevices } from '../support/devices.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** As long as a client id may be [MQTT-1.5.4], and longer in JSON. */
const longest = (index: number): string => `long-${index}-`.padEnd(65_535, '"');

test('devices with the longest ids are listed, found and kicked at another proxy, and hide nobody', async () => {
  const [redis, broker] = await Promise.all([startRedis(), startMosquitto()]);
  const pools = { default: { nodes: [{ id: 'n1', url: broker.url }] } };
  const limits = { connectTimeout: 30 };
  const [one, two] = await Promise.all([
    startProxy(redis, 'p1', { pools, limits }),
    startProxy(redis, 'p2', { pools, limits }),
  ]);
  const longs = await connectDevices(
    two.port,
    Array.from({ length: 17 }, (_, index) => longest(index)),
  );
  expect(longs.map(({ code }) => code)).toEqual(longs.map(() => 0));
  expect(await connectDevice(two.port, 'short')).toMatchObject({ code: 0 });

  await until(async () => (await one.api<ClientList>('clients')).total === 18, 'all to be listed');
  const list = await one.api<ClientList>('clients');
  expect(list.missing).toEqual([]);
  const shown = list.clients.map(({ clientId }) => clientId).sort();
  expect(shown).toHaveLength(18);
  expect(shown[17]).toBe('short');

  const [first = ''] = shown;
  expect(await one.api<ClientDetail>(`clients/${encodeURIComponent(first)}`)).toMatchObject({
    clientId: first,
  });
  const whole = encodeURIComponent(longest(3));
  expect(await one.api<ClientDetail>(`clients/${whole}`)).toMatchObject({ node: 'n1', proxy: 'p2' });
  await one.api(`clients/${whole}`, { method: 'DELETE' });
  await until(() => longs[3]?.socket.closed, 'the device to be disconnected');
  await one.api(`clients/${encodeURIComponent(first)}`, { method: 'DELETE' });
  await until(() => longs.filter(({ socket }) => socket.closed).length === 2, 'another to be disconnected');
});

test('a list of more devices than one page holds is whole', async () => {
  const [redis, broker] = await Promise.all([startRedis(), startMosquitto()]);
  const pools = { default: { nodes: [{ id: 'n1', url: broker.url }] } };
  const membership = { heartbeat: 5 }; // a proxy that is stopped for a moment still lives
  const [one, two] = await Promise.all([
    startProxy(redis, 'p1', { pools, membership }),
    startProxy(redis, 'p2', { pools, membership }),
  ]);
  const ids = clientIds(1_200, `device-${'x'.repeat(180)}`);
  await connectDevices(two.port, ids);
  await until(
    async () => (await one.api<ClientList>('clients?limit=1')).total === ids.length,
    'all to be there',
  );
  const list = await one.api<ClientList>('clients?limit=10000');
  expect(list.clients.map(({ clientId }) => clientId).sort()).toEqual(ids.toSorted());

  two.kill('SIGSTOP');
  const { stdout } = await run(['client', 'list', '--admin', one.adminUrl]);
  two.kill('SIGCONT');
  expect(stdout).toContain('those of proxies that did not answer: p2');
});
