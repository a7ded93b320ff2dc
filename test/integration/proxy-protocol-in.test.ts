import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { endOf } from '../support/fake-node.ts';
import { freePort } from '../support/free-port.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { accepts, type Spawned, start, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** HAProxy stands before Breakwater and says whose connections they are; another HAProxy stands behind it and is told. */

const engines = ['epoll', 'node'] as const;
const before = { epoll: 0, node: 0 };
const own = { epoll: 0, node: 0 };
let behind = 0;
let haproxy: Spawned;

beforeAll(async () => {
  const broker = await startMosquitto();
  behind = await freePort();
  for (const engine of engines) {
    before[engine] = await freePort();
    own[engine] = await freePort();
  }
  const file = join(temporaryDirectory(), 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  log stdout format raw local0
defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  unique-id-format haproxy-%ci-%cp
${engines
  .map(
    (engine) => `listen before-${engine}
  bind 127.0.0.1:${before[engine]}
  server breakwater 127.0.0.1:${own[engine]} send-proxy-v2 proxy-v2-options unique-id`,
  )
  .join('\n')}
listen behind
  log global
  option logasap
  log-format "device %ci:%cp unique %[fc_pp_unique_id]"
  bind 127.0.0.1:${behind} accept-proxy
  server broker 127.0.0.1:${broker.port}
`,
  );
  haproxy = start('haproxy', ['-f', file]);
  await accepts(behind, haproxy);
});

describe.each(engines)('the %s engine', (engine) => {
  let proxy: Breakwater;

  beforeAll(async () => {
    proxy = await startBreakwater({
      proxy: { engine },
      listeners: [
        {
          url: `mqtt://127.0.0.1:${own[engine]}`,
          proxyProtocol: 'require',
          trustedProxies: ['127.0.0.1/32'],
        },
      ],
      pools: {
        default: {
          health: { probe: 'mqtt' },
          upstream: { proxyProtocol: 'v2' },
          nodes: [{ id: 'behind', url: `mqtt://127.0.0.1:${behind}` }],
        },
      },
      limits: { deny: ['127.0.0.6/32'] },
    });
  });

  /** A device of this address of ours, through the HAProxy before Breakwater. */
  function device(localAddress: string, clientId: string): Promise<mqtt.MqttClient> {
    const dial = () => connect({ host: '127.0.0.1', port: before[engine], localAddress });
    const client = new mqtt.MqttClient(dial, { clientId, reconnectPeriod: 0 });
    return new Promise((resolve, reject) => {
      client.once('connect', () => resolve(client));
      client.on('error', reject);
      client.once('close', () => reject(new Error('closed')));
    });
  }

  test('knows the device, and tells the node what it was told', async () => {
    const client = await device('127.0.0.5', `told-${engine}`);
    const { localPort } = client.stream as unknown as { localPort: number };
    const { remoteAddress } = await proxy.api<{ remoteAddress: string }>(`clients/told-${engine}`);
    expect(remoteAddress).toBe(`127.0.0.5:${localPort}`);
    await client.publishAsync('t', 'm', { qos: 1 });
    await client.endAsync();
    const line = `device 127.0.0.5:${localPort} unique haproxy-127.0.0.5-${localPort}`;
    await until(() => haproxy.output().includes(line), line);
  });

  test('admits by the address of the device, not of the proxy', async () => {
    await expect(device('127.0.0.6', 'denied')).rejects.toThrow();
    expect(await counted('source-denied')).toBe(1);
  });

  test('resets whoever is not trusted, counts that, and logs it once', async () => {
    for (let i = 0; i < 3; i++) {
      const socket = connect({ host: '127.0.0.1', port: own[engine], localAddress: '127.0.0.7' });
      const ended = endOf(socket);
      socket.write('PROXY TCP4 127.0.0.5 127.0.0.1 4711 1883\r\n');
      expect(await ended).toBe('ECONNRESET');
    }
    const lines = () => proxy.logs().filter(({ msg }) => msg === 'PROXY protocol header refused');
    await until(() => lines().length > 0, 'the log');
    expect(lines()).toMatchObject([{ reason: 'proxy-untrusted', remoteAddress: '127.0.0.7', more: 0 }]);
    await until(async () => (await counted('proxy-untrusted')) >= 3, 'the count');
    expect(await counted('proxy-untrusted')).toBe(3);
  });

  test('resets a trusted proxy that sends no header', async () => {
    const socket = connect(own[engine], '127.0.0.1');
    await once(socket, 'connect');
    const ended = endOf(socket);
    socket.write(Uint8Array.of(0x10, 12, 0, 4));
    expect(await ended).toBe('ECONNRESET');
    await until(async () => (await counted('proxy-no-header')) === 1, 'the count');
  });

  async function counted(reason: string): Promise<number> {
    const text = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    const line = text.split('\n').find((each) => each.includes(`rejected_total{reason="${reason}"}`));
    return Number(line?.split(' ').at(-1));
  }
});
