import { copyFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
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

describe.each(['epoll', 'node'])('nodes by TLS on the %s engine', (engine) => {
  const tls = (more: object = {}) => ({
    ...{ ca: root.certFile, serverName: 'broker.test', cert: own.certFile, key: own.keyFile },
    ...more,
  });

  function start(brokers: readonly Mosquitto[], upstreamTls: object, more: object = {}): Promise<Breakwater> {
    const nodes = brokers.map(({ port }, index) => ({ id: `n${index}`, url: `mqtts://127.0.0.1:${port}` }));
    return startBreakwater({
      proxy: { engine },
      log: { level: 'debug', format: 'json' },
      pools: {
        default: {
          strategy: 'round-robin',
          health: { probe: 'mqtt', interval: 2 },
          upstream: { tls: upstreamTls },
          nodes,
          ...more,
        },
      },
    });
  }

  const connect = ({ port }: Breakwater, clientId: string): Promise<MqttClient> =>
    connectAsync({ host: '127.0.0.1', port, clientId, reconnectPeriod: 0 });

  it('carry sessions, which outlive the SIGKILL of their broker', async () => {
    const brokers = [await startBroker(), await startBroker()];
    const proxy = await start(brokers, tls());
    const received = new Set<string>();
    let dropped = 0;
    const devices = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        const device = await connect(proxy, `lives-${index}`);
        device.on('close', () => dropped++);
        device.on('message', () => received.add(`lives-${index}`));
        await device.subscribeAsync('news', { qos: 1 });
        return device;
      }),
    );
    brokers[0]?.kill('SIGKILL');
    await until(
      () => brokers[1]?.clients().filter((id) => id.startsWith('lives-')).length === 6,
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
    const folder = temporaryDirectory();
    const ca = join(folder, 'ca.crt');
    const put = (from: string) => {
      copyFileSync(from, `${ca}.new`);
      renameSync(`${ca}.new`, ca);
    };
    put(createAuthority('stranger').certFile);
    const proxy = await start([await startBroker()], tls({ ca }));
    await expect(connect(proxy, 'early')).rejects.toThrow(/Server unavailable/);
    const why = await until(() => proxy.logs().find(({ msg }) => msg === 'dial failed'), 'the reason');
    expect(why).toMatchObject({
      failure: 'tls',
      detail: expect.stringMatching(/certificate verify failed: ./),
    });
    put(root.certFile);
    const device = await until(() => connect(proxy, 'later').catch(() => undefined), 'the new authority');
    await until(
      async () => (await proxy.api<{ health: string }>('nodes/n0')).health === 'healthy',
      'a probe by TLS',
    );
    await device.endAsync();
  });
});
