import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { connectAsync, type IClientOptions, MqttClient } from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { runHere } from '../support/cli.ts';
import { KEY, SECRET, startEmqxApi } from '../support/emqx-api.ts';
import { atEnd, temporaryDirectory } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** Every file in `examples/` is checked as it stands, and started and used with the addresses of this machine. */

const folder = resolve(import.meta.dirname, '../../examples');
const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
const secrets = { EMQX_API_KEY: KEY, EMQX_API_SECRET: SECRET, BREAKWATER_TOKEN: 'of the example' };

interface Example {
  proxy?: { threads?: number };
  listeners: { url: string; proxyProtocol?: string; tls?: Record<string, string> }[];
  pools: Record<
    string,
    {
      upstream?: { proxyProtocol?: string };
      nodes?: { url: string }[];
      discovery?: { emqx: string; port: number }[];
    }
  >;
  membership?: { url: string };
  admin?: { url: string };
}

let root: Authority;
let server: Issued;
let device: Issued;
let broker: number;
let behindHeader: number;

beforeAll(async () => {
  root = createAuthority('fleet');
  server = root.issue({ cn: 'localhost', names: 'IP:127.0.0.1' });
  device = root.issue({ cn: 'pilot-1' });
  const [aedes] = await startAedes(1);
  broker = Number(new URL(aedes?.url ?? '').port);
  behindHeader = await takeHeaders(broker);
});

/** A node that expects a PROXY header, version 2, before MQTT: it takes the header off. */
async function takeHeaders(port: number): Promise<number> {
  const front = createServer((socket) => {
    const broker = connect(port, '127.0.0.1');
    broker.on('error', () => socket.destroy());
    socket.on('error', () => broker.destroy());
    let head = Buffer.alloc(0);
    socket.on('data', function read(chunk) {
      head = Buffer.concat([head, chunk as Buffer]);
      const length = head.length < 16 ? Number.POSITIVE_INFINITY : 16 + head.readUInt16BE(14);
      if (head.length < length) return;
      socket.off('data', read);
      expect(head.readUInt32BE(0), 'signature of the PROXY protocol, version 2').toBe(0x0d0a0d0a);
      broker.write(head.subarray(length));
      socket.pipe(broker).pipe(socket);
    });
  }).listen(0, '127.0.0.1');
  await once(front, 'listening');
  atEnd(() => front.close());
  return (front.address() as AddressInfo).port;
}

/** A copy of the file beside the certificates that it names. */
function copyOf(name: string): string {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'certs'));
  copyFileSync(server.certFile, join(directory, 'certs/server.crt'));
  copyFileSync(server.keyFile, join(directory, 'certs/server.key'));
  copyFileSync(root.certFile, join(directory, 'certs/fleet-ca.crt'));
  const file = join(directory, name);
  copyFileSync(join(folder, name), file);
  return file;
}

/** The same with addresses of this machine. */
async function here(file: string): Promise<Example> {
  const example = parse(readFileSync(file, 'utf8')) as Example;
  for (const listener of example.listeners) {
    listener.url = listener.url.replace(/0\.0\.0\.0:\d+/, '127.0.0.1:0');
    for (const name of ['cert', 'key', 'clientCa'] as const) {
      const path = listener.tls?.[name];
      if (listener.tls !== undefined && path !== undefined) listener.tls[name] = join(dirname(file), path);
    }
  }
  for (const pool of Object.values(example.pools)) {
    const port = pool.upstream?.proxyProtocol === 'v2' ? behindHeader : broker;
    for (const node of pool.nodes ?? []) node.url = `mqtt://127.0.0.1:${port}`;
    for (const source of pool.discovery ?? []) Object.assign(source, { emqx: await emqx(), port });
  }
  if (example.membership !== undefined) example.membership.url = (await startRedis()).url;
  if (example.admin !== undefined) example.admin.url = 'http://127.0.0.1:0';
  example.proxy = { ...example.proxy, threads: 1 }; // starts sooner
  return example;
}

async function emqx(): Promise<string> {
  const api = await startEmqxApi(['127.0.0.1']);
  atEnd(() => api.stopAll());
  return api.url;
}

test('there are examples, and README.md names each', () => {
  expect(names.length).toBeGreaterThanOrEqual(6);
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  expect(names.filter((name) => !readme.includes(`(${name})`))).toEqual([]);
});

describe.each(names)('%s', (name) => {
  test('is valid as it stands', async () => {
    const { code, stdout, stderr } = await runHere(['check', '-c', copyOf(name)], secrets);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
  });

  test('carries a message through each of its listeners', async () => {
    const example = await here(copyOf(name));
    const proxies = [await startBreakwater(example, [], secrets)];
    if (example.membership !== undefined) {
      proxies.push(await startBreakwater(example, [], secrets));
      await until(async () => (await proxyIds(proxies[0])).length === 2, 'the two to know each other');
    }
    for (const proxy of proxies) {
      const isReady = async () => (await fetch(`${proxy.adminUrl}/readyz`)).ok;
      await until(isReady, 'nodes to be discovered');
      for (const [i, { url, proxyProtocol }] of example.listeners.entries()) {
        const address = url.replace(/:0\b/, `:${proxy.ports[i]}`);
        expect(await sendAndReceive(address, proxyProtocol === 'require')).toBe('hello');
      }
    }
  });
});

/** Of all proxies that this one knows of, itself included. */
async function proxyIds(proxy: Breakwater | undefined): Promise<string[]> {
  const headers = { authorization: `Bearer ${secrets.BREAKWATER_TOKEN}` };
  const answer = await fetch(`${proxy?.adminUrl}/api/v1/proxies`, { headers });
  return ((await answer.json()) as { id: string }[]).map(({ id }) => id);
}

async function sendAndReceive(address: string, afterHeader: boolean): Promise<string> {
  const { cert, key } = device;
  const isSecure = /^(mqtts|wss):/.test(address); // the client speaks TLS to any address when it is given a certificate
  const options: IClientOptions = {
    ...{ clientId: 'site-17-meter-3', reconnectPeriod: 0 },
    ...(isSecure && { ca: root.cert, cert, key }),
  };
  const client = afterHeader ? clientBehindHeader(address, options) : await connectAsync(address, options);
  const got = new Promise<Buffer>((resolve) => client.once('message', (_topic, payload) => resolve(payload)));
  await client.subscribeAsync('examples', { qos: 1 });
  await client.publishAsync('examples', 'hello', { qos: 1 });
  const payload = await got;
  await client.endAsync();
  return String(payload);
}

/** As it comes from a balancer that tells the device's address. */
function clientBehindHeader(address: string, options: IClientOptions): MqttClient {
  const socket = connect(Number(new URL(address).port), '127.0.0.1');
  socket.write('PROXY TCP4 192.0.2.7 10.0.0.1 40000 1883\r\n');
  return new MqttClient(() => socket, options);
}
