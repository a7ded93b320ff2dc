import { copyFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Breakwater, type LogLine, startBreakwater } from '../support/breakwater.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

let root: Authority;
let own: Issued;

beforeAll(() => {
  root = createAuthority('root');
  own = root.issue({ cn: 'breakwater' });
});

/** A mosquitto that speaks TLS only, and wants a certificate. */
function startBroker(): Promise<Mosquitto> {
  const { certFile, keyFile } = root.issue({ cn: 'broker', names: 'DNS:broker.test' });
  const files = [`cafile ${root.certFile}`, `certfile ${certFile}`, `keyfile ${keyFile}`];
  return startMosquitto({ config: [...files, 'require_certificate true'].join('\n') });
}

describe.each([fastestEngine, 'node'])('nodes by TLS on the %s engine', (engine) => {
  /** Each test has a pool for itself. */
  const pools = ['lives', 'unknown'] as const;
  type Pool = (typeof pools)[number];
  const ca = join(temporaryDirectory(), 'ca.crt');
  let brokers: [Mosquitto, Mosquitto];
  let proxy: Breakwater;

  const put = (from: string): void => {
    copyFileSync(from, `${ca}.new`);
    renameSync(`${ca}.new`, ca);
  };

  beforeAll(async () => {
    put(createAuthority('stranger').certFile);
    const [one, two, other] = await Promise.all([startBroker(), startBroker(), startBroker()]);
    brokers = [one, two];
    const pool = (authority: string, nodes: Record<string, Mosquitto>) => ({
      strategy: 'round-robin',
      health: { probe: 'mqtt', interval: 2 },
      upstream: {
        tls: { ca: authority, serverName: 'broker.test', cert: own.certFile, key: own.keyFile },
      },
      nodes: Object.entries(nodes).map(([id, { port }]) => ({ id, url: `mqtts://127.0.0.1:${port}` })),
    });
    proxy = await startBreakwater({
      proxy: { engine, threads: 1 },
      log: { level: 'debug', format: 'json' },
      listeners: pools.map((name) => ({ url: 'mqtt://127.0.0.1:0', pool: name })),
      pools: { lives: pool(root.certFile, { one, two }), unknown: pool(ca, { other }) },
    });
  });

  const connect = (pool: Pool, clientId: string): Promise<MqttClient> => {
    const port = proxy.ports[pools.indexOf(pool)] as number;
    return connectAsync({ host: '127.0.0.1', port, clientId, reconnectPeriod: 0 });
  };

  it('carry sessions, which outlive the SIGKILL of their broker', async () => {
    const received = new Set<string>();
    let dropped = 0;
    const devices = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        const device = await connect('lives', `lives-${index}`);
        device.on('close', () => dropped++);
        device.on('message', () => received.add(`lives-${index}`));
        await device.subscribeAsync('news', { qos: 1 });
        return device;
      }),
    );
    brokers[0].kill('SIGKILL');
    await until(
      () => brokers[1].clients().filter((id) => id.startsWith('lives-')).length === 6,
      'all devices there',
    );
    await until(async () => {
      await devices[0]?.publishAsync('news', 'all are well', { qos: 1 }); // some may still subscribe there
      return received.size === 6;
    }, 'the message at every device');
    expect(dropped).toBe(0);
    await Promise.all(devices.map((each) => each.endAsync()));
  });

  it('are refused by name, and served once the authority that signed them is there', async () => {
    await expect(connect('unknown', 'early')).rejects.toThrow(/Server unavailable/);
    const isOfOther = ({ msg, node }: LogLine) => msg === 'dial failed' && node === 'other';
    const why = await until(() => proxy.logs().find(isOfOther), 'the reason');
    expect(why).toMatchObject({
      failure: 'tls',
      detail: expect.stringMatching(/certificate verify failed: ./),
    });
    put(root.certFile);
    const device = await until(() => connect('unknown', 'later').catch(() => undefined), 'the new authority');
    await until(
      async () => (await proxy.api<{ health: string }>('nodes/other')).health === 'healthy',
      'a probe by TLS',
    );
    await device.endAsync();
  });
});
