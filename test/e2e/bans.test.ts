import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { beforeAll, expect, test } from 'vitest';
import type { BanView } from '../../src/admin/backend.ts';
import type { EventList } from '../../src/admin/journal-views.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { createAuthority, type Issued } from '../support/certificates.ts';
import { type Finished, runHere } from '../support/cli.ts';
import { HEARTBEAT, startProxy } from '../support/cluster.ts';
import { connectBytes, connectDevice, openSocket } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { atEnd, execute } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startInstalled } from '../support/upgrade.ts';
import { until } from '../support/wait.ts';

/** What real clients meet that are banned at one proxy of a cluster, and how people ban them. */

/** By MQTT 5 and 3.1.1; 0: the broker took the device. */
const BANNED = [0x8a, 5] as const;
/** Within so long it holds at every proxy. */
const SECOND = 1_000;

const root = createAuthority('root');
const server = root.issue({ cn: 'server', names: 'IP:127.0.0.1' });
const modes = ['session', 'relay'] as const;

let redis: RedisServer;
let broker: Mosquitto;
let pools: object;
let proxies: [Breakwater, Breakwater];

beforeAll(async () => {
  [redis, broker] = await Promise.all([startRedis(), startMosquitto()]);
  const tcp = [{ id: 'opaque', url: `tcp://127.0.0.1:${broker.port}` }];
  pools = { default: { nodes: [{ id: 'n0', url: broker.url }] }, opaque: { nodes: tcp } };
  proxies = await Promise.all([startOne('p1'), startOne('p2')]);
});

function startOne(id: string): Promise<Breakwater> {
  const tls = { cert: server.certFile, key: server.keyFile, clientCa: root.certFile, clientAuth: 'request' };
  const listeners = [
    { url: 'mqtt://127.0.0.1:0' },
    { url: 'tcp://127.0.0.1:0', pool: 'opaque' },
    ...modes.map((mode) => ({ url: 'mqtts://127.0.0.1:0', mode, tls })),
  ];
  return startProxy(redis, id, { proxy: { id, threads: 2 }, listeners, pools });
}

async function connect(proxy: Breakwater, options: IClientOptions): Promise<MqttClient> {
  const client = await connectAsync(proxy.url, { reconnectPeriod: 0, ...options });
  atEnd(() => client.end(true));
  return client;
}

function untilClosed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()));
}

/** What mqtt.js is told in CONNACK. */
async function codeOf(proxy: Breakwater, options: IClientOptions): Promise<number> {
  try {
    const client = await connect(proxy, options);
    await client.endAsync();
    return 0;
  } catch (error) {
    return Number((error as { code?: unknown }).code);
  }
}

/** In both generations of the protocol. */
async function codesOf(proxy: Breakwater, options: IClientOptions): Promise<[number, number]> {
  return [
    await codeOf(proxy, { ...options, protocolVersion: 5 }),
    await codeOf(proxy, { ...options, protocolVersion: 4 }),
  ];
}

/** Waits until every proxy refuses a device, a second at most; each of its threads hears of it by itself. */
async function untilRefused(options: IClientOptions, all: readonly Breakwater[] = proxies): Promise<void> {
  for (const proxy of all) await untilBanned(proxy, options);
}

async function untilBanned(proxy: Breakwater, options: IClientOptions): Promise<void> {
  const isBanned = async () => isDeepStrictEqual(await codesOf(proxy, options), BANNED);
  await until(isBanned, 'the device to be refused', SECOND);
}

async function untilTaken(options: IClientOptions, quietMs: number): Promise<void> {
  for (const proxy of proxies)
    await until(async () => (await codeOf(proxy, options)) === 0, 'the device to be taken', quietMs);
}

function cli(proxy: Breakwater, ...args: readonly string[]): Promise<Finished> {
  return runHere(['ban', ...args, '--admin', proxy.adminUrl]);
}

async function ban(proxy: Breakwater, ...args: readonly string[]): Promise<BanView> {
  const { code, stdout, stderr } = await cli(proxy, 'add', ...args, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as BanView;
}

async function refusedByBan(proxy: Breakwater): Promise<number> {
  const text = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  return Number(/connect_rejected_total\{reason="banned"\} (\d+)/.exec(text)?.[1] ?? 0);
}

test('a device that is banned at one proxy is refused at both within the second, until the ban is removed', async () => {
  const [p1, p2] = proxies;
  const before = await refusedByBan(p2);
  const { id } = await ban(p1, '--client-id', 'meter-17', '--reason', 'sends garbage');
  await untilRefused({ clientId: 'meter-17' });
  expect(await codesOf(p2, { clientId: 'meter-170' })).toEqual([0, 0]);
  expect(await refusedByBan(p2)).toBeGreaterThan(before);
  const { port } = p2;
  const message = ['-t', 't', '-m', 'm', '-q', '1'];
  const publish = (clientId: string) =>
    execute('mosquitto_pub', ['-h', '127.0.0.1', '-p', `${port}`, '-i', clientId, ...message]);
  await expect(publish('meter-17')).rejects.toMatchObject({
    stderr: expect.stringMatching(/not authori[sz]ed/i),
  });
  await publish('meter-18');
  const list = await cli(p2, 'list');
  expect(list.stdout).toMatch(new RegExp(`^${id} +client id meter-17 +removed .* sends garbage$`, 'm'));
  expect(await cli(p2, 'remove', id)).toMatchObject({ code: 0, stdout: `ban ${id} removed\n` });
  await untilTaken({ clientId: 'meter-17' }, SECOND);
  expect(await cli(p1, 'remove', id)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`no ban "${id}"`),
  });
  const told = await runHere(['events', '--kind', 'ban,audit', '--json', '--admin', p1.adminUrl]);
  const { events } = JSON.parse(told.stdout) as EventList;
  expect(events.map(({ proxy, type, ban, method }) => [proxy, type, ban ?? method])).toEqual([
    ['p1', 'banned', id],
    ['p1', 'admin', 'POST'],
    ['p2', 'unbanned', id],
    ['p2', 'admin', 'DELETE'],
    ['p1', 'admin', 'DELETE'],
  ]);
});

test('--kick ends those that match and are connected, at every proxy, and nobody else; without it they stay', async () => {
  const [p1, p2] = proxies;
  const [first, second, other] = await Promise.all([
    connect(p1, { clientId: 'guest-1', username: 'guest' }),
    connect(p2, { clientId: 'guest-2', username: 'guest' }),
    connect(p2, { clientId: 'host', username: 'host' }),
  ]);
  const closed = Promise.all([first, second].map(untilClosed));
  await ban(p2, '--username', 'guest');
  await untilRefused({ username: 'guest' });
  await first.publishAsync('t', 'm', { qos: 1 });
  await second.publishAsync('t', 'm', { qos: 1 });
  const { id } = await ban(p1, '--username', 'guest', '--kick');
  await closed;
  await other.publishAsync('t', 'm', { qos: 1 });
  await cli(p1, 'remove', id);
  await untilTaken({ username: 'guest' }, SECOND);
});

test.each(
  modes.map((mode, at) => [mode, 2 + at] as const),
)('a ban of a certificate refuses and kicks who shows it, %s mode', async (mode, listener) => {
  const [p1, p2] = proxies;
  const [banned, other] = ['meter', 'gate'].map((cn) => root.issue({ cn: `${cn}-${mode}` })) as [
    Issued,
    Issued,
  ];
  const optionsOf = (proxy: Breakwater, { cert, key }: Partial<Issued>): IClientOptions => ({
    ...{ protocol: 'mqtts', host: '127.0.0.1', port: proxy.ports[listener], ca: root.cert, cert, key },
  });
  const connectTo = (proxy: Breakwater, issued: Partial<Issued>) =>
    connect(proxy, { ...optionsOf(proxy, issued), protocolVersion: 5 });
  const devices = await Promise.all(proxies.map((proxy) => connectTo(proxy, banned)));
  const stay = await Promise.all([connectTo(p1, other), connectTo(p2, {})]);
  const closed = Promise.all(devices.map(untilClosed));
  const { id } = await ban(p1, '--client-cn', `meter-${mode}`, '--kick');
  await closed;
  for (const proxy of proxies) await untilBanned(proxy, optionsOf(proxy, banned));
  const publish = ({ certFile, keyFile }: Issued) => {
    const to = ['-h', '127.0.0.1', '-p', `${p2.ports[listener]}`, '--cafile', root.certFile];
    const message = ['-t', 't', '-m', 'm', '-q', '1'];
    return execute('mosquitto_pub', [...to, '--cert', certFile, '--key', keyFile, ...message]);
  };
  await expect(publish(banned)).rejects.toMatchObject({
    stderr: expect.stringMatching(/not authori[sz]ed/i),
  });
  await publish(other);
  for (const device of stay) await device.publishAsync('t', 'm', { qos: 1 });
  await cli(p2, 'remove', id);
  for (const proxy of proxies)
    await until(async () => (await codeOf(proxy, optionsOf(proxy, banned))) === 0, 'it to be taken', SECOND);
});

test('a ban that expires ends by itself, at both', async () => {
  const { expiresAt = '' } = await ban(proxies[0], '--client-id', 'brief', '--expires', '4');
  await untilRefused({ clientId: 'brief' });
  await untilTaken({ clientId: 'brief' }, 10_000);
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt));
  const listed = await proxies[1].api<BanView[]>('bans');
  expect(listed.map(({ clientId }) => clientId)).not.toContain('brief');
});

test('a network is refused, on listeners of another protocol too', async () => {
  const [p1, p2] = proxies;
  const code = async (port: number, localAddress: string) => {
    const device = await connectDevice(port, `from ${localAddress}`, { localAddress }).catch(() => undefined);
    device?.socket.destroy();
    return device?.code;
  };
  const { id } = await ban(p1, '--source', '127.0.77.0/24');
  for (const { ports } of proxies) {
    const [mqtt = 0, tcp = 0] = ports;
    await until(async () => (await code(mqtt, '127.0.77.9')) !== 0, 'the source to be refused', SECOND);
    await until(async () => (await code(tcp, '127.0.77.9')) !== 0, 'the source to be refused', SECOND);
    expect(await code(mqtt, '127.0.77.9')).toBe(5);
    expect(await code(tcp, '127.0.77.9')).toBeUndefined();
    expect([await code(mqtt, '127.0.78.9'), await code(tcp, '127.0.78.9')]).toEqual([0, 0]);
  }
  await cli(p2, 'remove', id);
});

test('what is banned stays so where a proxy is killed and starts again', async () => {
  const { id } = await ban(proxies[0], '--client-id', 'lasting');
  proxies[1].kill('SIGKILL');
  proxies[1] = await startOne('p2');
  expect(await codesOf(proxies[1], { clientId: 'lasting' })).toEqual(BANNED);
  expect(await proxies[1].api('bans')).toMatchObject([{ id, clientId: 'lasting', kick: false }]);
  await cli(proxies[1], 'remove', id);
});

test('while Redis is away nobody can be banned, and the bans that are known hold', async () => {
  const [p1] = proxies;
  const { id } = await ban(p1, '--client-id', 'known');
  await untilRefused({ clientId: 'known' });
  redis.kill('SIGSTOP');
  for (const command of [
    ['add', '--client-id', 'late'],
    ['remove', id],
  ])
    expect(await cli(p1, ...command)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot be used'),
    });
  for (const proxy of proxies) expect(await codesOf(proxy, { clientId: 'known' })).toEqual(BANNED);
  redis.kill('SIGCONT');
  await until(async () => (await cli(p1, 'remove', id)).code === 0, 'the ban to be removed');
});

test.runIf(process.platform === 'linux')(
  'a ban in memory goes over to the new process of an upgrade, with its end',
  async () => {
    const proxy = await startInstalled({ proxy: { threads: 1 }, pools });
    const device = await connect(proxy, { clientId: 'stays' });
    const made = [
      await ban(proxy, '--client-id', 'stays', '--expires', '3600'),
      await ban(proxy, '--username', 'u'),
    ];
    await proxy.upgrade();
    expect(await proxy.api('bans')).toEqual(expect.arrayContaining(made));
    await untilRefused({ clientId: 'stays' }, [proxy]);
    await untilRefused({ username: 'u' }, [proxy]);
    await device.publishAsync('t', 'm', { qos: 1 });
  },
);

test.runIf(process.platform === 'linux')(
  'a ban in Redis goes over to the new process of an upgrade, which need not wait for a Redis that is away',
  async () => {
    const membership = { store: 'redis', url: redis.url, heartbeat: HEARTBEAT };
    const proxy = await startInstalled({ proxy: { id: 'p3', threads: 1 }, membership, pools });
    const { id } = await ban(proxy, '--client-id', 'meanwhile');
    await untilRefused({ clientId: 'meanwhile' }, [proxy]);
    redis.kill('SIGSTOP');
    atEnd(() => redis.kill('SIGCONT')); // whatever fails here
    await proxy.upgrade();
    expect(await codesOf(proxy, { clientId: 'meanwhile' })).toEqual(BANNED);
    expect(await codesOf(proxy, { clientId: 'another' })).toEqual([0, 0]);
    redis.kill('SIGCONT');
    await until(async () => (await cli(proxy, 'remove', id)).code === 0, 'the ban to be removed');
    await until(async () => (await codeOf(proxy, { clientId: 'meanwhile' })) === 0, 'the device to be taken');
  },
);

test.runIf(process.platform === 'linux')(
  'who is kicked while connections go over to a new process is ended there',
  async () => {
    const mute = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    atEnd(() => mute.close());
    await once(mute, 'listening');
    const { port: mutePort } = mute.address() as AddressInfo;
    const proxy = await startInstalled({
      listeners: [{ url: 'mqtt://127.0.0.1:0' }, { url: 'mqtt://127.0.0.1:0', pool: 'mute' }],
      pools: { ...pools, mute: { nodes: [{ url: `mqtt://127.0.0.1:${mutePort}` }] } },
    });
    const devices = await Promise.all(
      ['d1', 'd2', 'd3'].map((clientId) => connectDevice(proxy.port, clientId)),
    );
    const unanswered = openSocket(proxy.ports[1] as number); // so long the old process tries again
    unanswered.write(connectBytes('unanswered'));
    await until(async () => (await proxy.status()).connections === 4, 'all to be connected');
    const upgraded = proxy.upgrade();
    await until(async () => (await proxy.status()).connections === 1, 'the others to have gone over');
    for (const { clientId } of devices.slice(0, 2))
      expect(await runHere(['client', 'kick', clientId, '--admin', proxy.adminUrl])).toMatchObject({
        stderr: expect.stringContaining('go over to a new process'),
      });
    unanswered.destroy();
    await upgraded;
    const [first, second, third] = devices.map(({ socket }) => socket);
    for (const socket of [first, second])
      await until(() => socket?.closed || socket?.readableEnded, 'the end of its connection', 20_000);
    expect(third?.closed).toBe(false);
  },
);

test('wrong commands say what is wrong: exit code 2', async () => {
  const none = await cli(proxies[0], 'add');
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('give one of --client-id') });
  expect(await cli(proxies[0], 'add', '--client-id', 'a', '--username', 'b')).toMatchObject({ code: 2 });
  expect(await cli(proxies[0], 'add', '--source', '10.0.0.0/33')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('CIDR'),
  });
  expect(await cli(proxies[0], 'add', '--client-id', 'a', '--expires', '0')).toMatchObject({ code: 2 });
});
