import { beforeAll, describe, expect, test } from 'vitest';
import type { ClientDetail, ClientList } from '../../src/admin/backend.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { run } from '../support/cli.ts';
import { startProxy } from '../support/cluster.ts';
import { clientIds, connectDevice, connectDevices } from '../support/devices.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** As long as a client id may be [MQTT-1.5.4], and longer in JSON. */
const longest = (index: number): string => `long-${index}-`.padEnd(65_535, '"');

describe('two proxies, with devices at one of them', () => {
  let one: Breakwater;
  let two: Breakwater;
  beforeAll(async () => {
    const [redis, broker] = await Promise.all([startRedis(), startMosquitto()]);
    const config = {
      pools: { default: { nodes: [{ id: 'n1', url: broker.url }] } },
      limits: { connectTimeout: 30 },
      membership: { heartbeat: 5 }, // a proxy that is stopped for a moment still lives
    };
    [one, two] = await Promise.all([startProxy(redis, 'p1', config), startProxy(redis, 'p2', config)]);
  });

  /** Those whose ids begin so, by the account of the first proxy, once it lists so many. */
  const listed = (count: number, prefix: string): Promise<string[]> =>
    until(async () => {
      const { clients, missing } = await one.api<ClientList>('clients?limit=10000');
      const shown = clients.map(({ clientId }) => clientId).filter((id) => id.startsWith(prefix));
      return shown.length === count && missing.length === 0 && shown.sort();
    }, `all of ${prefix} to be listed`);

  test('devices with the longest ids are listed, found and kicked at another proxy, and hide nobody', async () => {
    const longs = await connectDevices(
      two.port,
      Array.from({ length: 17 }, (_, index) => longest(index)),
    );
    expect(longs.map(({ code }) => code)).toEqual(longs.map(() => 0));
    expect(await connectDevice(two.port, 'short')).toMatchObject({ code: 0 });
    const [first = ''] = await listed(17, 'long-');
    expect(await listed(1, 'short')).toEqual(['short']);

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
    const ids = clientIds(700, `device-${'x'.repeat(220)}`);
    await connectDevices(two.port, ids);
    expect(await listed(ids.length, 'device-')).toEqual(ids.toSorted());

    two.kill('SIGSTOP');
    const { stdout } = await run(['client', 'list', '--admin', one.adminUrl]);
    two.kill('SIGCONT');
    expect(stdout).toContain('those of proxies that did not answer: p2');
  });
});
