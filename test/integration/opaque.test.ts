import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import mqtt from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { createAuthority } from '../support/certificates.ts';
import { endOf, firstBytes } from '../support/fake-node.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { atEnd } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** `tcp` listeners: any protocol, and TLS that passes through to the broker that its server name calls for. */

const authority = createAuthority('opaque');
const brokers: Record<'a' | 'b', Mosquitto> = {} as never;
const greeters: number[] = [];

/** A server that speaks first, says its name, and then everything again that it hears. */
async function startGreeter(name: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.write(`I am ${name}. `);
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  for (const name of ['x', 'y', 'z']) greeters.push(await startGreeter(name));
  for (const name of ['a', 'b'] as const) {
    const { certFile, keyFile } = authority.issue({ cn: name, names: `DNS:${name}.example` });
    brokers[name] = await startMosquitto({ config: `certfile ${certFile}\nkeyfile ${keyFile}` });
  }
});

describe.each([fastestEngine, 'node'] as const)('the %s engine', (engine) => {
  let proxy: Breakwater;

  beforeAll(async () => {
    const tcpNode = (port: number) => ({ url: `tcp://127.0.0.1:${port}` });
    proxy = await startBreakwater({
      proxy: { engine },
      listeners: [
        { url: 'tcp://127.0.0.1:0', pool: 'greeters' },
        { url: 'tcp://127.0.0.1:0', pool: 'a', passthrough: 'tls' },
        { url: 'tcp://127.0.0.1:0', pool: 'dead' },
      ],
      pools: {
        greeters: { strategy: 'source-hash', nodes: greeters.map(tcpNode) },
        a: { nodes: [tcpNode(brokers.a.port)] },
        b: { nodes: [tcpNode(brokers.b.port)] },
        dead: {
          nodes: [tcpNode(1), tcpNode(greeters[0] ?? 0)].map((node, i) => ({ ...node, id: `dead-${i}` })),
        },
      },
      rules: [
        { when: { sni: '^b\\.example$' }, pool: 'b' },
        { when: { sni: '^bad\\.' }, reject: 'not-authorized' },
      ],
    });
  });

  const open = (listener: number, localAddress = '127.0.0.1') =>
    connect({ host: '127.0.0.1', port: proxy.ports[listener] ?? 0, localAddress, allowHalfOpen: true });

  test('carries what either side says first, and half-closes', async () => {
    const device = open(0);
    const greeting = await firstBytes(device, 8);
    expect(greeting).toMatch(/^I am [xyz]/);
    device.end('and I am a device');
    let echo = '';
    for await (const chunk of device) echo += chunk;
    expect(echo).toBe('. and I am a device'.slice(greeting.length - 6));
  });

  test('sends one source to one node, and different ones to all', async () => {
    const nodeOf = async (source: string) => {
      const device = open(0, source);
      const greeting = await firstBytes(device, 8);
      device.destroy();
      return greeting;
    };
    const sources = Array.from({ length: 24 }, (_, i) => `127.0.0.${i + 10}`);
    const first = await Promise.all(sources.map(nodeOf));
    expect(new Set(first).size).toBe(3);
    expect(await Promise.all(sources.map(nodeOf))).toEqual(first);
  });

  test('tries another node when one does not accept', async () => {
    for (let i = 0; i < 4; i++) {
      const device = open(2);
      expect(await firstBytes(device, 8)).toMatch(/^I am /);
      device.destroy();
    }
  });

  test.each([
    ['a.example', 'a'],
    ['b.example', 'b'],
  ] as const)('passes TLS for %s through to broker %s', async (servername, name) => {
    const client = await mqtt.connectAsync({
      ...{ protocol: 'mqtts', host: '127.0.0.1', port: proxy.ports[1] ?? 0, servername, ca: authority.cert },
      ...{ clientId: `${engine}-${name}`, reconnectPeriod: 0 },
    });
    await client.publishAsync('t', 'm', { qos: 1 });
    expect(brokers[name].clients()).toContain(`${engine}-${name}`);
    await client.endAsync();
  });

  test('refuses a server name by rule, with an alert, and what is no TLS, by a reset', async () => {
    const secure = connectTls({ host: '127.0.0.1', port: proxy.ports[1] ?? 0, servername: 'bad.example' });
    const [error] = await once(secure, 'error');
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_ACCESS_DENIED');
    const plain = open(1);
    const ended = endOf(plain);
    plain.write('GET / HTTP/1.1\r\n');
    expect(await ended).toBe('ECONNRESET');
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toContain('connect_rejected_total{reason="not-authorized"} 1');
    expect(metrics).toContain('connect_rejected_total{reason="not-tls"} 1');
  });

  test('counts its connections, and ends them when their node is drained', async () => {
    const device = open(0);
    const name = (await firstBytes(device, 8)).charAt(5);
    const node = `127.0.0.1:${greeters['xyz'.indexOf(name)]}`;
    const { connections } = await proxy.api<{ connections: number }>(`nodes/${node}`);
    expect(connections).toBe(1);
    const ended = endOf(device);
    await proxy.api(`nodes/${node}/drain`, { method: 'POST', body: {} });
    expect(await ended).toBe('fin');
    device.destroy();
    const lines = () =>
      proxy.logs().filter(({ msg, reason }) => msg === 'device ended' && reason === 'immovable');
    await until(() => lines().length === 1, 'the log');
    const other = open(0);
    expect((await firstBytes(other, 8)).charAt(5)).not.toBe(name);
    other.destroy();
  });
});
