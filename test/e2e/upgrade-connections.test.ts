import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../support/certificates.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { start } from '../support/process.ts';
import { type Installed, startInstalled } from '../support/upgrade.ts';
import { until } from '../support/wait.ts';

/** Devices that are not ours, by every kind of listener, while the process that carries them is replaced. */

const authority = createAuthority('devices');
const own = authority.issue({ cn: 'edge.test', names: 'IP:127.0.0.1' });

/** What each device of the traffic sends and hears, by topic: every message is a number of its own. */
interface Traffic {
  readonly clients: readonly MqttClient[];
  /** Why devices were disconnected. */
  readonly ends: string[];
  stop(): Promise<void>;
  /** Acknowledged and not heard, of QoS 1 and 2. */
  lost(): string[];
  /** Heard more than once, of QoS 2. */
  twice(): string[];
  sent(): number;
}

async function startTraffic(urls: readonly string[], perUrl: number): Promise<Traffic> {
  const ends: string[] = [];
  const acknowledged = new Set<string>();
  const heard = new Map<string, number>();
  const devices = urls.flatMap((url) =>
    Array.from({ length: perUrl }, (_, i) => ({ url, protocolVersion: i % 2 === 0 ? 4 : 5 }) as const),
  );
  let sent = 0;
  const clients = await Promise.all(
    devices.map(async ({ url, protocolVersion }, i) => {
      const options: IClientOptions = {
        ...{ clientId: `device-${i}`, protocolVersion, reconnectPeriod: 0, keepalive: 2 },
        ...{ rejectUnauthorized: false, connectTimeout: 60_000 },
      };
      const client = await connectAsync(url, options);
      client.on('close', () => ends.push(`${url} ${protocolVersion}`));
      client.on('error', (error) => ends.push(`${url} ${protocolVersion} ${error.message}`));
      client.on('message', (_, payload) => heard.set(`${payload}`, (heard.get(`${payload}`) ?? 0) + 1));
      await client.subscribeAsync(`traffic/${i}`, { qos: 2 });
      return client;
    }),
  );
  let goesOn = true;
  /** Each device sends to its neighbour: most of the time by another listener, and another thread. */
  const loops = clients.map(async (client, i) => {
    for (let n = 0; goesOn; n++) {
      const qos = (n % 3) as 0 | 1 | 2;
      const message = `${i} ${n} qos${qos}`;
      sent++;
      await client.publishAsync(`traffic/${(i + perUrl) % clients.length}`, message, { qos });
      if (qos > 0) acknowledged.add(message);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  const lost = (): string[] => [...acknowledged].filter((message) => !heard.has(message));
  return {
    ...{ clients, ends, lost, sent: () => sent },
    twice: () => [...heard].filter(([message, count]) => message.endsWith('qos2') && count > 1).map(String),
    async stop() {
      goesOn = false;
      await Promise.all(loops);
      await until(() => lost().length === 0, 'everything to be heard');
    },
  };
}

/** The counters of Breakwater, by name and labels, but those of what the process itself does. */
async function counters({ adminUrl }: Installed): Promise<Map<string, number>> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const names = /^(breakwater_(?:\w+_total|dial\w*|connect_duration\w*)(?:{.*})?) (\S+)$/gm;
  return new Map([...text.matchAll(names)].map(([, name = '', count]) => [name, Number(count)]));
}

describe.runIf(process.platform === 'linux')('devices of an upgraded proxy', () => {
  let proxy: Installed;
  let urls: string[];

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
    proxy = await startInstalled({
      ...{ proxy: { threads: 2 }, listeners, limits: { shutdownGrace: 0 } },
      pools: {
        default: { nodes: [{ id: 'n0', url: broker.url }] },
        opaque: { nodes: [{ id: 'n1', url: broker.url.replace('mqtt', 'tcp') }] },
      },
    });
    urls = listeners.map(({ url }, i) => {
      const path = /^wss?:/.test(url) ? '/mqtt' : '';
      return `${url.replace('tcp:', 'mqtt:').replace(':0', `:${proxy.ports[i]}`)}${path}`;
    });
  });

  test('notice nothing, three times in a row: none is disconnected, nothing is lost, nothing comes twice', async () => {
    const traffic = await startTraffic(urls, 6);
    const { clients: before } = await proxy.api<{ clients: { clientId: string; connectedAt: string }[] }>(
      'clients',
    );
    const counted = await counters(proxy);
    const counts: number[] = [];
    for (let i = 0; i < 3; i++) {
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
