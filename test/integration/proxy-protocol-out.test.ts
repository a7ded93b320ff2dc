import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { createAuthority } from '../support/certificates.ts';
import { startEmqxListener } from '../support/emqx-listener.ts';
import { freePort } from '../support/free-port.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { accepts, type Spawned, start, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** HAProxy and nginx stand before a broker, expect PROXY protocol headers, and write down whom they tell of. */

const directory = temporaryDirectory();
const nginxLog = join(directory, 'nginx.log');
const ports = { haproxy: 0, nginx: 0 };
let broker: Mosquitto;
let haproxy: Spawned;

beforeAll(async () => {
  for (const name of ['haproxy', 'nginx'] as const) ports[name] = await freePort();
  broker = await startMosquitto();
  const haproxyFile = join(directory, 'haproxy.cfg');
  writeFileSync(
    haproxyFile,
    `global
  log stdout format raw local0
defaults
  mode tcp
  log global
  option tcplog
  option logasap
  log-format "device %ci:%cp unique %[fc_pp_unique_id] authority %[fc_pp_authority]"
  timeout connect 5s
  timeout client 10s
  timeout server 10s
listen broker
  bind 127.0.0.1:${ports.haproxy} accept-proxy
  server broker 127.0.0.1:${broker.port}
`,
  );
  const nginxFile = join(directory, 'nginx.conf');
  const stream = ['/usr/lib/nginx', '/usr/lib64/nginx']
    .map((base) => `${base}/modules/ngx_stream_module.so`)
    .find((path) => existsSync(path));
  writeFileSync(
    nginxFile,
    `${stream === undefined ? '' : `load_module ${stream};`}
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr warn;
events {}
stream {
  log_format device 'device $proxy_protocol_addr:$proxy_protocol_port at $proxy_protocol_server_port';
  access_log ${nginxLog} device;
  server {
    listen 127.0.0.1:${ports.nginx} proxy_protocol;
    proxy_pass 127.0.0.1:${broker.port};
  }
}
`,
  );
  haproxy = start('haproxy', ['-f', haproxyFile]);
  const nginx = start('nginx', ['-c', nginxFile, '-e', 'stderr']);
  await accepts(ports.haproxy, haproxy);
  await accepts(ports.nginx, nginx);
});

const receivers = ['haproxy', 'nginx'] as const;
const versions = ['v1', 'v2'] as const;
const logOf = (receiver: string): string =>
  receiver === 'haproxy' ? haproxy.output() : readFileSync(nginxLog, 'utf8');

const { certFile: cert, keyFile: key } = createAuthority('root').issue({ cn: 'localhost' });

describe.each([fastestEngine, 'node'] as const)('the %s engine', (engine) => {
  let proxy: Breakwater;
  let emqx: Awaited<ReturnType<typeof startEmqxListener>>;

  beforeAll(async () => {
    emqx = await startEmqxListener(broker.port);
    const url = (port: number) => `mqtt://127.0.0.1:${port}`;
    const poolOf = (version: string) => ({
      health: { probe: 'mqtt', interval: 2 },
      upstream: { proxyProtocol: version },
      nodes: receivers.map((id) => ({ id: `${id}-${version}`, url: url(ports[id]) })),
    });
    proxy = await startBreakwater({
      proxy: { engine },
      listeners: [
        { url: 'mqtt://127.0.0.1:0', mode: 'relay', pool: 'v1' },
        { url: 'mqtt://127.0.0.1:0', mode: 'session', pool: 'v2' },
        { url: 'mqtts://127.0.0.1:0', tls: { cert, key }, pool: 'small' },
        { url: 'mqtt://127.0.0.1:0', pool: 'emqx' },
      ],
      pools: {
        v1: poolOf('v1'),
        v2: poolOf('v2'),
        small: {
          upstream: { proxyProtocol: 'v2', proxyProtocolTlvs: [] },
          nodes: [{ id: 'small', url: url(ports.nginx) }],
        },
        emqx: {
          health: { probe: 'mqtt', interval: 2, timeout: 5, unhealthyThreshold: 2, healthyThreshold: 2 },
          upstream: { proxyProtocol: 'v2' },
          nodes: [{ id: 'emqx', url: url(emqx.port) }],
        },
      },
    });
  });

  /** One MQTT client, its own address, and the receiver that it was placed at. */
  async function served(clientId: string, port: number | undefined) {
    const url = `mqtt://127.0.0.1:${port}`;
    const client = await mqtt.connectAsync(url, { clientId, reconnectPeriod: 0 });
    const { localPort } = client.stream as unknown as { localPort: number };
    const { node } = await proxy.api<{ node: string }>(`clients/${clientId}`);
    return { client, address: `127.0.0.1:${localPort}`, receiver: node.split('-')[0] ?? '' };
  }

  async function knows(receiver: string, address: string): Promise<void> {
    await until(() => logOf(receiver).includes(`device ${address} `), `${receiver} to tell of ${address}`);
  }

  test.each(versions)('tells of each device in %s', async (version) => {
    const port = proxy.ports[versions.indexOf(version)];
    const devices = [await served(`${version}-1`, port), await served(`${version}-2`, port)];
    expect(new Set(devices.map(({ receiver }) => receiver))).toEqual(new Set(receivers));
    for (const { client, address, receiver } of devices) {
      await client.publishAsync('t', 'm', { qos: 1 });
      await client.endAsync();
      await knows(receiver, address);
      if (receiver === 'nginx') expect(logOf('nginx')).toContain(`device ${address} at ${port}`);
      else if (version === 'v2') expect(logOf('haproxy')).toContain(`device ${address} unique ${address}-`);
    }
  });

  const told = (msg: string) => proxy.logs().filter((line) => line.msg === msg);

  test('is believed by the receivers when it probes', async () => {
    const probed = () => told('node healthy').filter(({ node }) => /-v[12]$/.test(String(node)));
    await until(() => probed().length === 4, 'all nodes to be healthy');
  });

  test('tells of a device again when its session moves', async () => {
    const { client, address, receiver } = await served('mover', proxy.ports[1]);
    const to = `${receivers.find((name) => name !== receiver)}-v2`;
    await proxy.api('clients/mover/move', { method: 'POST', body: { node: to } });
    const nodeNow = async () => (await proxy.api<{ node: string }>('clients/mover')).node;
    await until(async () => (await nodeNow()) === to, 'the session to move');
    await client.publishAsync('t', 'm', { qos: 1 });
    await client.endAsync();
    for (const name of receivers) await knows(name, address);
  });

  test('serves a receiver with a small buffer, as nginx has before 1.23.2, where nothing but addresses is told, also of devices that came by TLS', async () => {
    const client = await mqtt.connectAsync(`mqtts://127.0.0.1:${proxy.ports[2]}`, {
      rejectUnauthorized: false,
      reconnectPeriod: 0,
      servername: 'mqtt.example.org',
    });
    const { localPort } = client.stream as unknown as { localPort: number };
    await client.publishAsync('t', 'm', { qos: 1 });
    await client.endAsync();
    await knows('nginx', `127.0.0.1:${localPort}`);
  });

  test('finds a receiver healthy that swallows what follows a LOCAL without addresses, as EMQX does, and brings it back', async () => {
    const count = (msg: string) => told(msg).filter(({ node }) => node === 'emqx').length;
    await until(() => count('node healthy') === 1, 'the node to be healthy');
    await emqx.close();
    await until(() => count('node unhealthy') === 1, 'the node to be unhealthy');
    await emqx.open();
    await until(() => count('node healthy') === 2, 'the node to be back');
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${proxy.ports[3]}`, { reconnectPeriod: 0 });
    await client.endAsync();
    expect(emqx.swallowed()).toBe(0);
  });
});
