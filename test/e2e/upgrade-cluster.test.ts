import { expect, test } from 'vitest';
import type { ProxyView } from '../../src/admin/backend.ts';
import { startProxy } from '../support/cluster.ts';
import { connectDevice } from '../support/devices.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { redisCommand, startRedis } from '../support/redis.ts';
import { startInstalled } from '../support/upgrade.ts';
import { until } from '../support/wait.ts';

/** An upgrade as the other proxies of the cluster see it: nothing has happened. */

const IDS = ['a', 'b', 'c', 'd'];

test.runIf(process.platform === 'linux')(
  'the other proxies see one proxy all the time, its devices, and the claims that they had',
  async () => {
    const [redis, broker] = await Promise.all([startRedis(), startMosquitto()]);
    const membership = { store: 'redis', url: redis.url, heartbeat: 0.2 };
    const pools = { default: { nodes: [{ id: 'n0', url: broker.url }] } };
    const upgraded = await startInstalled({ proxy: { id: 'edge-1', threads: 2 }, membership, pools });
    const other = await startProxy(redis, 'edge-2', { pools });
    const devices = await Promise.all(IDS.map((id) => connectDevice(upgraded.port, id)));
    const ends: string[] = [];
    for (const { socket, clientId } of devices) socket.once('close', () => ends.push(clientId));
    const claims = () =>
      Promise.all(
        IDS.map((id) =>
          redisCommand(redis.url, 'hget', `{breakwater:default}:client:default ${id}`, 'epoch'),
        ),
      );
    const seen = async () => (await other.api<ProxyView[]>('proxies')).find(({ id }) => id === 'edge-1');
    await until(async () => (await seen())?.connections === 4, 'the other proxy to see the devices');
    const epochs = await until(async () => {
      const all = await claims();
      return all.every(Boolean) && all;
    }, 'all claims');

    const pids = new Set<number>();
    let gone = 0;
    let isOver = false;
    const watching = (async () => {
      while (!isOver) {
        const edge = await seen();
        if (edge === undefined) gone++;
        else pids.add(edge.pid);
      }
    })();
    const { to } = await upgraded.upgrade();
    await until(async () => (await seen())?.pid === to.pid, 'the other proxy to see the new process');
    isOver = true;
    await watching;
    expect(gone).toBe(0);
    expect([...pids].sort()).toEqual([upgraded.pid, to.pid].sort());
    await until(async () => (await seen())?.connections === 4, 'the other proxy to see the devices');
    expect(await claims()).toEqual(epochs);

    const { clients } = await other.api<{ clients: { clientId: string; proxy: string }[] }>('clients');
    expect(clients.map(({ clientId, proxy }) => `${clientId} ${proxy}`).sort()).toEqual(
      IDS.map((id) => `${id} edge-1`),
    );
    await other.api('clients/a', { method: 'DELETE' });
    await until(() => ends.includes('a'), 'the device to be kicked by way of the other proxy');
    expect(ends).toEqual(['a']);
  },
);
