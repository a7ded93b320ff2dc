import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connectAsync } from 'mqtt';
import { generate } from 'mqtt-packet';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { RedisStore } from '../../src/membership/store/redis.ts';
import { ban, Recorder } from '../contract/store.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { HEARTBEAT, startProxy } from '../support/cluster.ts';
import { connectBytes, connectDevice, openSocket } from '../support/devices.ts';
import { ask, startHttpNode } from '../support/http.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { atEnd } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { patience, until } from '../support/wait.ts';
import { openWebSocket } from '../support/websockets.ts';

/** Two proxies of a cluster, and a third that has no devices and makes bans. */
const engines = [fastestEngine, 'node'] as const;
let proxies: Breakwater[];
let redis: RedisServer;
let store: RedisStore;
let broker: Mosquitto;
let web: { readonly url: string };
const heard = new Recorder();
const names = ['mqtt', 'tcp', 'ws', 'http', 'proxied'] as const;
const portOf = (proxy: Breakwater, name: (typeof names)[number]): number =>
  proxy.ports[names.indexOf(name)] as number;

beforeAll(async () => {
  const [server, mosquitto, httpNode] = await Promise.all([
    startRedis(),
    startMosquitto(),
    startHttpNode((_, answer) => void answer.end('web')),
  ]);
  redis = server;
  broker = mosquitto;
  web = httpNode;
  const start = (engine: (typeof engines)[number]) =>
    startProxy(redis, engine, {
      proxy: { id: engine, engine, threads: engine === 'node' ? 1 : 2 },
      listeners: [
        { url: 'mqtt://127.0.0.1:0' },
        { url: 'tcp://127.0.0.1:0', pool: 'opaque' },
        { url: 'ws://127.0.0.1:0/mqtt' },
        { url: 'http://127.0.0.1:0', pool: 'web' },
        { url: 'mqtt://127.0.0.1:0', proxyProtocol: 'require', trustedProxies: ['127.0.0.0/8'] },
      ],
      pools: {
        default: { nodes: [{ id: 'b', url: broker.url }] },
        opaque: { nodes: [{ id: 'o', url: broker.url.replace('mqtt:', 'tcp:') }] },
        web: { nodes: [{ id: 'w', url: web.url }] },
      },
    });
  store = new RedisStore({ url: redis.url, cluster: 'default', proxyId: 'third', heartbeatMs: 200 });
  [proxies] = await Promise.all([Promise.all(engines.map(start)), store.open(heard)]);
  atEnd(() => store.close());
}, patience(60_000));

afterEach(async () => {
  for (const id of heard.bans.keys()) await store.unban(id);
});

const portsOf = (name: (typeof names)[number]) => proxies.map((proxy) => portOf(proxy, name));
const each = <T>(run: (proxy: Breakwater) => Promise<T>): Promise<T[]> => Promise.all(proxies.map(run));

/** CONNACK codes of such a device at both proxies. */
const codes = (clientId: string, protocolVersion: 4 | 5 = 4, localAddress = '127.0.0.1') =>
  Promise.all(
    portsOf('mqtt').map(async (port) => {
      const { socket, code } = await connectDevice(port, clientId, { protocolVersion, localAddress });
      socket.destroy();
      return code;
    }),
  );

/** What `run` gives at both proxies is this, within the second that a ban may take to be known. */
const both = (run: () => Promise<unknown[]>, value: unknown) =>
  until(async () => (await run()).every((one) => one === value), `both to be ${value}`);

const ended = (socket: Socket) =>
  until(() => socket.closed || socket.readableEnded, 'the connection to be ended');

test('a banned client id is refused at every proxy, and counted, until the ban is taken back', async () => {
  const made = ban('clientId', 'noisy');
  await store.ban(made);
  await both(() => codes('noisy'), 5);
  await both(() => codes('noisy', 5), 0x8a);
  expect(await codes('noisy-too')).toEqual([0, 0]);
  for (const { adminUrl } of proxies) {
    const text = await (await fetch(`${adminUrl}/metrics`)).text();
    expect(text).toMatch(/connect_rejected_total\{reason="banned"\} [1-9]/);
  }
  await store.unban(made.id);
  await both(() => codes('noisy'), 0);
});

test('a banned username is refused', async () => {
  await store.ban(ban('username', 'mallory'));
  const connect = async (port: number, username: string) => {
    const options = { username, password: 'p', protocolVersion: 5, reconnectPeriod: 0 } as const;
    try {
      await (await connectAsync(`mqtt://127.0.0.1:${port}`, options, false)).endAsync(true);
      return 0;
    } catch (error) {
      return (error as { code?: number }).code;
    }
  };
  await both(() => Promise.all(portsOf('mqtt').map((port) => connect(port, 'mallory'))), 0x8a);
  expect(await Promise.all(portsOf('mqtt').map((port) => connect(port, 'alice')))).toEqual([0, 0]);
});

test('who is connected stays, unless the ban kicks', async () => {
  const devices = await each((proxy) => connectDevice(portOf(proxy, 'mqtt'), `kept-${proxy.port}`));
  for (const { clientId } of devices) await store.ban(ban('clientId', clientId));
  await store.ban(ban('clientId', 'mark'));
  await both(() => codes('mark'), 5); // and so those before it are known too
  for (const { socket } of devices) {
    socket.write(generate({ cmd: 'pingreq' }));
    await once(socket, 'data');
  }
  for (const { clientId } of devices) await store.ban(ban('clientId', clientId, { kick: true }));
  for (const { socket } of devices) await ended(socket);
  for (const proxy of proxies)
    await until(() => proxy.logs().some(({ reason }) => reason === 'kicked'), 'the log to say so');
});

test('a banned network is refused at every kind of listener, and its connections are ended', async () => {
  const from = '127.0.66.7';
  const tunnels = await Promise.all(portsOf('ws').map((port) => openWebSocket(port)));
  for (const [i, { socket }] of tunnels.entries()) socket.send(connectBytes(`over-ws-${i}`));
  await Promise.all(tunnels.map(({ hears }) => hears('connack')));
  const opaque = await Promise.all(portsOf('tcp').map((port) => through(port, from)));
  await store.ban(ban('source', '127.0.66.99/24', { kick: true }));
  await Promise.all(opaque.map(ended));
  await both(() => codes('anyone', 5, from), 0x8a);
  await both(() => Promise.all(portsOf('tcp').map((port) => isReset(port, from))), true);
  expect(tunnels.map(({ socket }) => socket.readyState)).toEqual([1, 1]); // they come from elsewhere
  expect(await codes('anyone')).toEqual([0, 0]);

  await store.ban(ban('source', '127.0.0.1', { kick: true }));
  await Promise.all(tunnels.map(({ closed }) => closed));
  const http = () =>
    Promise.all(portsOf('http').map(async (port) => (await ask(`http://127.0.0.1:${port}/`)).status));
  await both(http, 403);
  for (const port of portsOf('ws')) {
    const { socket, hears } = await openWebSocket(port);
    socket.send(connectBytes('over-ws'));
    await hears('connack');
    await until(() => socket.readyState === 3, 'the refused device to be closed');
  }
});

/** A connection through an opaque listener, which a broker has answered. */
async function through(port: number, localAddress: string): Promise<Socket> {
  const socket = openSocket(port, localAddress);
  socket.write(connectBytes(`opaque-${port}`));
  await once(socket, 'data');
  return socket;
}

async function isReset(port: number, localAddress: string): Promise<boolean> {
  const socket = openSocket(port, localAddress);
  socket.write(connectBytes('opaque'));
  const heardAnything = await Promise.race([
    once(socket, 'data').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return !heardAnything;
}

test('the address that a trusted proxy tells is the one that is banned', async () => {
  await store.ban(ban('source', '198.51.100.0/24'));
  const code = async (port: number, source: string) => {
    const socket = openSocket(port);
    const header = Buffer.from(`PROXY TCP4 ${source} 127.0.0.1 40000 1883\r\n`);
    socket.write(Buffer.concat([header, connectBytes('told', { protocolVersion: 5 })]));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer[3];
  };
  await both(() => Promise.all(portsOf('proxied').map((port) => code(port, '198.51.100.9'))), 0x8a);
  expect(await Promise.all(portsOf('proxied').map((port) => code(port, '203.0.113.9')))).toEqual([0, 0]);
});

test('a ban ends by itself', async () => {
  const expiresAt = new Date(Date.now() + 1_500).toISOString();
  await store.ban(ban('clientId', 'for-now', { expiresAt }));
  await both(() => codes('for-now'), 5);
  await both(() => codes('for-now'), 0);
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt));
});

test('a proxy that starts knows the bans from the first device on, and so do threads that start again', async () => {
  await store.ban(ban('source', '127.0.0.1'));
  const nodes = (url: string) => ({ nodes: [{ url }] });
  const late = await startBreakwater(
    {
      proxy: { id: 'late', engine: 'epoll', threads: 1 },
      membership: { store: 'redis', url: redis.url, heartbeat: HEARTBEAT },
      listeners: [{ url: 'mqtt://127.0.0.1:0' }, { url: 'http://127.0.0.1:0', pool: 'web' }],
      pools: { default: nodes(broker.url), web: nodes(web.url) },
    },
    [],
    { BREAKWATER_TEST_FAULTS: '1' },
  );
  const refused = async () => [
    (await connectDevice(late.ports[0] as number, 'early')).code,
    (await ask(`http://127.0.0.1:${late.ports[1]}/`)).status,
  ];
  expect(await refused()).toEqual([5, 403]);
  const deaths = () => late.logs().filter(({ msg }) => msg.startsWith('data thread died')).length;
  for (const count of [1, 2]) {
    late.kill('SIGPWR');
    await until(() => deaths() === count, 'a thread to die');
  }
  const again = await until(() => refused().catch(() => undefined), 'both to listen again');
  expect(again).toEqual([5, 403]);
});
