import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { generate, parser } from 'mqtt-packet';
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { createAuthority } from '../support/certificates.ts';
import { connectBytes, openSocket as openDevice } from '../support/devices.ts';
import { type FakeNode, fakeNode } from '../support/fake-node.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';

const authority = createAuthority('Test CA');
const { certFile: cert, keyFile: key } = authority.issue({ cn: 'proxy', names: 'IP:127.0.0.1' });

const open: { terminate(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.terminate();
});

async function device(port: number, options: IClientOptions = {}, path = '/mqtt'): Promise<MqttClient> {
  const scheme = options.ca === undefined ? 'ws' : 'wss';
  const client = await connectAsync(`${scheme}://127.0.0.1:${port}${path}`, {
    reconnectPeriod: 0,
    ...options,
  });
  open.push({ terminate: () => client.end(true) });
  return client;
}

/** A WebSocket, and the packets that come over it. */
async function openSocket(port: number, path = '/mqtt') {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, 'mqtt');
  open.push(socket);
  const packets: string[] = [];
  const reader = parser();
  reader.on('packet', ({ cmd }) => packets.push(cmd));
  socket.on('message', (data: Buffer) => reader.parse(data));
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'open');
  return { socket, closed, packets, hears: (cmd: string) => until(() => packets.includes(cmd), cmd) };
}

const refusedWith = async (port: number, path: string, options = {}, protocols: string[] = ['mqtt']) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options);
  const [error] = await once(socket, 'error');
  return String(error);
};

describe.each(['epoll', 'node'])('MQTT over WebSocket, %s engine', (engine) => {
  let proxy: Breakwater;
  beforeAll(async () => {
    const broker = await startMosquitto();
    proxy = await startBreakwater({
      proxy: { engine, threads: 1 },
      listeners: [
        { url: 'ws://127.0.0.1:0' },
        {
          url: 'ws://127.0.0.1:0/plant/*',
          mode: 'relay',
          websocket: { origins: ['https://App.example.com'] },
        },
        { url: 'wss://127.0.0.1:0', tls: { cert, key } },
        { url: 'wss://127.0.0.1:0', mode: 'relay', tls: { cert, key } },
      ],
      pools: { default: { nodes: [{ id: 'm', url: broker.url }] } },
      rules: [
        { when: { path: '^/plant/closed$' }, reject: 'banned' },
        { when: { host: '^localhost$' }, reject: 'not-authorized' },
      ],
    });
  });
  const modes = [
    { mode: 'session', port: () => proxy.ports[0] ?? 0, path: '/mqtt', secure: () => proxy.ports[2] ?? 0 },
    {
      mode: 'relay',
      port: () => proxy.ports[1] ?? 0,
      path: '/plant/a?x=1',
      secure: () => proxy.ports[3] ?? 0,
    },
  ] as const;

  for (const { mode, port, path, secure } of modes) {
    test.each([
      [4, 'plain'],
      [5, 'plain'],
      [5, 'TLS'],
    ] as const)(`${mode} mode carries messages of any size, MQTT level %i, %s`, async (level, kind) => {
      const options = { protocolVersion: level, clientId: `${mode}-${level}` };
      const client =
        kind === 'TLS'
          ? await device(secure(), { ...options, ca: authority.cert })
          : await device(port(), options, path);
      const got: number[] = [];
      client.on('message', (_topic, payload) => got.push(payload.length));
      await client.subscribeAsync(`sizes/${mode}/${level}`, { qos: 1 });
      const sizes = [0, 1, 100, 125, 126, 4000, 65_535, 65_536, 300_000];
      for (const size of sizes) {
        await client.publishAsync(`sizes/${mode}/${level}`, Buffer.alloc(size, 'x'), { qos: 1 });
      }
      await until(() => got.length === sizes.length, 'every message');
      expect(got).toEqual(sizes);
      await client.endAsync();
    });

    test(`${mode} mode reads frames that are cut, joined and interrupted by pings`, async () => {
      const { socket, hears, packets, closed } = await openSocket(port(), path);
      const pongs: string[] = [];
      socket.on('pong', (data) => pongs.push(`${data}`));
      const bytes = Buffer.concat([
        connectBytes(`cut-${mode}`),
        generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'cut', qos: 0 }] }),
      ]);
      for (let at = 0; at < bytes.length; at++) {
        socket.send(bytes.subarray(at, at + 1), { fin: at % 3 === 2 || at === bytes.length - 1 });
        if (at % 7 === 0) socket.ping(`p${at}`);
      }
      await hears('suback');
      expect(packets).toEqual(['connack', 'suback']);
      await until(() => pongs.at(-1) === `p${bytes.length - 1 - ((bytes.length - 1) % 7)}`, 'the last pong');
      socket.close(4321);
      expect(await closed).toBe(4321);
    });

    test(`${mode} mode refuses text, and says so`, async () => {
      const { socket, closed } = await openSocket(port(), path);
      socket.send('hello');
      expect(await closed).toBe(1003);
      const served = await openSocket(port(), path);
      served.socket.send(connectBytes(`text-${mode}`));
      await served.hears('connack');
      served.socket.send('hello');
      expect(await served.closed).toBe(1003);
    });

    test(`${mode} mode tells the broker how the device left: by DISCONNECT, or so that its Will fires`, async () => {
      const watcher = await device(port(), {}, path);
      const wills: string[] = [];
      watcher.on('message', (topic) => wills.push(topic));
      await watcher.subscribeAsync(`will/${mode}/#`, { qos: 1 });
      const leave = async (how: string, end: (socket: WebSocket) => void) => {
        const { socket, hears } = await openSocket(port(), path);
        const will = {
          topic: `will/${mode}/${how}`,
          payload: Buffer.from('x'),
          qos: 1,
          retain: false,
        } as const;
        const options = { protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 60 } as const;
        socket.send(generate({ cmd: 'connect', clientId: `${mode}-${how}`, will, ...options }));
        await hears('connack');
        end(socket);
      };
      await leave('said', (socket) => {
        socket.send(generate({ cmd: 'disconnect' }));
        socket.close();
      });
      await leave('closed', (socket) => socket.close());
      await leave('vanished', (socket) => socket.terminate());
      await until(() => wills.length === 2, 'two Wills');
      expect(wills.sort()).toEqual([`will/${mode}/closed`, `will/${mode}/vanished`]);
    });

    test(`${mode} mode closes when the broker does`, async () => {
      const { socket, closed, hears } = await openSocket(port(), path);
      socket.send(connectBytes(`twice-${mode}`));
      await hears('connack');
      socket.send(connectBytes(`twice-${mode}`)); // a protocol error [MQTT-3.1.0-2]
      expect(await closed).toBe(1000);
    });
  }

  test('a device is listed with its listener, and kicked with a close code', async () => {
    const { socket, closed, hears } = await openSocket(proxy.ports[0] ?? 0);
    socket.send(connectBytes('listed'));
    await hears('connack');
    const url = `ws://127.0.0.1:${proxy.ports[0]}/mqtt`;
    expect(await proxy.api('clients/listed')).toMatchObject({ listener: url, mode: 'session' });
    await proxy.api('clients/listed', { method: 'DELETE' });
    expect(await closed).toBe(1000);
  });

  test('what is no upgrade for MQTT is refused with its status', async () => {
    const [first = 0, second = 0] = proxy.ports;
    expect(await refusedWith(first, '/other')).toContain('404');
    expect(await refusedWith(first, '/mqtt', {}, ['chat'])).toContain('400');
    expect(await refusedWith(first, '/mqtt', { protocolVersion: 8 })).toContain('426');
    expect(await refusedWith(second, '/plant/a', { origin: 'https://evil.example.com' })).toContain('403');
    const page = await fetch(`http://127.0.0.1:${first}/mqtt`);
    expect([page.status, await page.text()]).toEqual([426, 'This is MQTT over WebSocket.\n']);
    expect((await fetch(`http://127.0.0.1:${first}/mqtt`, { method: 'POST', body: 'x' })).status).toBe(405);
    const welcome = new WebSocket(`ws://127.0.0.1:${second}/plant/a`, 'mqtt', {
      origin: 'https://app.example.com',
    });
    open.push(welcome);
    await once(welcome, 'open');
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/connect_rejected_total\{reason="websocket-refused"\} [5-9]/);
  });

  test('rules know path and host', async () => {
    const [first = 0, second = 0] = proxy.ports;
    await expect(device(second, { clientId: 'p' }, '/plant/closed')).rejects.toThrow(/Not authorized/);
    const wsOptions = { headers: { host: 'localhost:80' } };
    await expect(device(first, { clientId: 'h', wsOptions })).rejects.toThrow(/Not authorized/);
  });
});

/** More than the kernel keeps for the four sockets on the way. */
const FLOOD_BYTES = 64 * 1024 * 1024;
const STUCK_MS = 300;

/** Sends until it is stuck, or everything is sent; returns how much it was. */
async function flood(send: (bytes: Buffer) => Promise<unknown>): Promise<number> {
  const packet = Buffer.concat([Buffer.of(0x30, 0xfc, 0xff, 0x03, 0, 1, 0x74), Buffer.alloc(65_529, 'x')]);
  let sent = 0;
  for (let isStuck = false; !isStuck && sent < FLOOD_BYTES; sent += packet.length) {
    isStuck = await Promise.race([send(packet).then(() => false), sleep(STUCK_MS, true)]);
  }
  return sent;
}

/** The link that brings a CONNECT: others are probes. */
async function linkOf(node: FakeNode): Promise<Socket> {
  for (;;) {
    const link = await node.link();
    if (link.destroyed) continue;
    const speaks = new Promise((told) => {
      link.once('data', () => told(true));
      link.once('end', () => told(false)).once('close', () => told(false));
    });
    if (await speaks) return link;
  }
}

test.each([
  ['epoll', 'relay'],
  ['node', 'session'],
])('back-pressure bounds what waits, either way: %s engine, %s mode', async (engine, mode) => {
  const node = await fakeNode();
  onTestFinished(() => node.stop());
  const proxy = await startBreakwater({
    proxy: { engine, threads: 1 },
    listeners: [{ url: 'ws://127.0.0.1:0', mode }],
    pools: { default: { nodes: [{ id: 'n', url: `mqtt://127.0.0.1:${node.target.port}` }] } },
  });
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/mqtt`, 'mqtt');
  open.push(socket);
  await once(socket, 'open');
  socket.send(connectBytes('flooded'));
  const link = await linkOf(node);
  link.write(Buffer.of(0x20, 2, 0, 0));
  await once(socket, 'message');

  socket.pause();
  const toDevice = await flood((bytes) => new Promise((taken) => link.write(bytes, taken)));
  expect(toDevice).toBeLessThan(FLOOD_BYTES);
  let got = 0;
  socket.on('message', (data: Buffer) => {
    got += data.length;
  });
  socket.resume();
  await until(() => got === toDevice, 'all that the node has sent');

  link.pause();
  const toNode = await flood((bytes) => new Promise((taken) => socket.send(bytes, taken)));
  expect(toNode).toBeLessThan(FLOOD_BYTES);
  let came = 0;
  link.on('data', (chunk: Buffer) => {
    came += chunk.length;
  });
  link.resume();
  await until(() => came === toNode, 'all that the device has sent');
});

test('persistence by cookie: the answer to the upgrade names the node, and the cookie finds it again', async () => {
  const brokers = await Promise.all([startMosquitto(), startMosquitto(), startMosquitto()]);
  const proxy = await startBreakwater({
    listeners: [{ url: 'ws://127.0.0.1:0' }],
    pools: {
      default: {
        strategy: 'least-connections',
        persistence: { by: 'cookie', name: 'seat', expires: 60 },
        nodes: brokers.map(({ url }, i) => ({ id: `m${i}`, url })),
      },
    },
  });
  /** Comes with the cookie; tells the node, and the cookie that was set. */
  const come = async (clientId: string, cookie?: string) => {
    const wsOptions = cookie === undefined ? {} : { headers: { cookie: `other=1; ${cookie}` } };
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/mqtt`, 'mqtt', wsOptions);
    open.push(socket);
    const [[response]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'open')]);
    socket.send(connectBytes(clientId));
    await once(socket, 'message');
    const { node } = await proxy.api<{ node: string }>(`clients/${clientId}`);
    const [set = ''] = (response.headers['set-cookie'] ?? []) as string[];
    return { node, set, cookie: set.split(';')[0] ?? '' };
  };
  const first = await come('first');
  expect(first.set).toMatch(/^seat=[\w-]+; Path=\/; Max-Age=60; HttpOnly; SameSite=Lax$/);
  expect((await come('other')).node).not.toBe(first.node);
  for (const clientId of ['again', 'and-again']) {
    expect((await come(clientId, first.cookie)).node).toBe(first.node);
  }
  await proxy.api(`nodes/${first.node}`, { method: 'PATCH', body: { state: 'disabled' } });
  const replaced = await come('replaced', first.cookie);
  expect(replaced.node).not.toBe(first.node);
  expect((await come('last', replaced.cookie)).node).toBe(replaced.node);
});

test('who does not ask for the upgrade in time, or then sends no CONNECT, is reset', async () => {
  const proxy = await startBreakwater({
    listeners: [{ url: 'ws://127.0.0.1:0' }],
    limits: { connectTimeout: 1 },
  });
  const slow = openDevice(proxy.port);
  slow.write('GET /mqtt HTTP/1.1\r\nHost: ');
  const { closed } = await openSocket(proxy.port);
  const reset = new Promise((told) => slow.once('close', told));
  expect(await Promise.all([reset, closed])).toEqual([true, 1006]);
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain('connect_rejected_total{reason="connect-timeout"} 2');
});

test.each([
  'epoll',
  'node',
])('a broker is killed: the WebSocket stays, the session moves, %s engine', async (engine) => {
  const brokers = await Promise.all([startMosquitto(), startMosquitto()]);
  const proxy = await startBreakwater({
    proxy: { engine },
    listeners: [{ url: 'ws://127.0.0.1:0' }],
    pools: {
      default: { nodes: brokers.map(({ url }, i) => ({ id: `m${i}`, url })) },
    },
  });
  const client = await device(proxy.port, { clientId: 'survivor', protocolVersion: 5 });
  const ends: string[] = [];
  client.on('close', () => ends.push('closed'));
  const got: string[] = [];
  client.on('message', (_topic, payload) => got.push(`${payload}`));
  await client.subscribeAsync('news', { qos: 1 });
  const { node } = await proxy.api<{ node: string }>('clients/survivor');
  brokers[node === 'm0' ? 0 : 1]?.kill('SIGKILL');
  await until(
    async () => (await proxy.api<{ node: string }>('clients/survivor').catch(() => undefined))?.node !== node,
    'the move',
  );
  await client.publishAsync('news', 'still here', { qos: 1 });
  await until(() => got.includes('still here'), 'the message');
  expect(ends).toEqual([]);
});
