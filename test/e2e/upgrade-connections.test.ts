import { beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../support/certificates.ts';
import { type LinuxEngineName, linuxEngines } from '../support/linux-engines.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { start } from '../support/process.ts';
import { startTraffic } from '../support/traffic.ts';
import { type Installed, startInstalled } from '../support/upgrade.ts';
import { until } from '../support/wait.ts';

/** Devices that are not ours, by every kind of listener, while the process that carries them is replaced. */

const authority = createAuthority('devices');
const own = authority.issue({ cn: 'edge.test', names: 'IP:127.0.0.1' });

/** The counters of Breakwater, by name and labels, but those of what the process itself does. */
async function counters({ adminUrl }: Installed): Promise<Map<string, number>> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const names = /^(breakwater_(?:\w+_total|dial\w*|connect_duration\w*)(?:{.*})?) (\S+)$/gm;
  return new Map([...text.matchAll(names)].map(([, name = '', count]) => [name, Number(count)]));
}

/** The engine of the process at the start, and those of the three that replace it. */
const engines: Record<LinuxEngineName, readonly LinuxEngineName[]> = {
  epoll: ['epoll', 'epoll', 'epoll', 'epoll'],
  uring: ['uring', 'uring', 'epoll', 'uring'],
};

describe.each(linuxEngines)('devices of an upgraded proxy whose first engine is %s', (name) => {
  const [first, ...next] = engines[name];
  let proxy: Installed;
  let urls: string[];
  let config: (engine: LinuxEngineName | undefined) => object;

  beforeAll(async () => {
    const broker = await startMosquitto();
    const tls = { cert: own.certFile, key: own.keyFile };
    const listeners = [
      ...[{ url: 'mqtt://127.0.0.1:0', mode: 'relay' }, { url: 'mqtt://127.0.0.1:0' }],
      ...[
        { url: 'mqtts://127.0.0.1:0', tls, mode: 'relay' },
        { url: 'mqtts://127.0.0.1:0', tls },
      ],
      { url: 'mqtts://127.0.0.1:0', tls: { ...tls, minVersion: 'TLSv1.2' } },
      ...[{ url: 'ws://127.0.0.1:0' }, { url: 'wss://127.0.0.1:0', tls }],
      { url: 'tcp://127.0.0.1:0', pool: 'opaque' },
    ];
    config = (engine) => ({
      ...{ proxy: { threads: 2, engine }, listeners, limits: { shutdownGrace: 0 } },
      pools: {
        default: { nodes: [{ id: 'n0', url: broker.url }] },
        opaque: { nodes: [{ id: 'n1', url: broker.url.replace('mqtt', 'tcp') }] },
      },
    });
    proxy = await startInstalled(config(first));
    urls = listeners.map(({ url }, i) => {
      const path = /^wss?:/.test(url) ? '/mqtt' : '';
      return `${url.replace('tcp:', 'mqtt:').replace(':0', `:${proxy.ports[i]}`)}${path}`;
    });
  });

  test('notice nothing, three times in a row: none is disconnected, nothing is lost, nothing comes twice', async () => {
    const traffic = await startTraffic(urls, 6, { pauseMs: 20 });
    const { clients: before } = await proxy.api<{ clients: { clientId: string; connectedAt: string }[] }>(
      'clients',
    );
    const counted = await counters(proxy);
    const counts: number[] = [];
    for (const engine of next) {
      proxy.rewrite(config(engine));
      const { connections, left } = await proxy.upgrade();
      counts.push(connections, left);
    }
    await traffic.stop();
    expect(traffic.ends).toEqual([]);
    expect(traffic.twice()).toEqual([]);
    expect(traffic.lost()).toEqual([]);
    expect(traffic.sent()).toBeGreaterThan(1_000);
    expect(counts).toEqual([48, 0, 48, 0, 48, 0]);
    const countedSince = await counters(proxy);
    expect([...counted].filter(([name, count]) => !((countedSince.get(name) ?? 0) >= count))).toEqual([]);
    const { clients: after } = await proxy.api<{ clients: { clientId: string; connectedAt: string }[] }>(
      'clients',
    );
    const connectedAt = (list: typeof before) =>
      new Map(list.map((client) => [client.clientId, Math.round(Date.parse(client.connectedAt) / 1000)]));
    expect([...connectedAt(after).keys()].sort()).toEqual([...connectedAt(before).keys()].sort());
    await until(() => proxy.processes().length === 2, 'only the first and the last process');
    for (const client of traffic.clients) client.removeAllListeners('close').end(true);
  });

  test('which are the clients of mosquitto hear on, too', async () => {
    const [relayed = 0, followed = 0] = proxy.ports;
    const subscribe = ['-p', String(followed), '-i', 'sub', '-t', 'hello', '-q', '2', '-k', '5', '-d'];
    const subscriber = start('mosquitto_sub', subscribe);
    const publish = async (message: string): Promise<boolean> => {
      const sent = ['-p', String(relayed), '-t', 'hello', '-m', message, '-q', '2'];
      expect(await start('mosquitto_pub', sent).exited).toBe(0);
      return subscriber.output().includes(message);
    };
    await until(() => publish('before'), 'the subscription');
    await proxy.upgrade();
    await until(() => publish('behind'), 'the message');
    await subscriber.stop();
    expect(subscriber.output().match(/sending CONNECT/g)).toHaveLength(1);
  });
});
