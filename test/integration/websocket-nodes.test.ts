import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { connectBytes, openSocket } from '../support/devices.ts';
import { type FakeNode, fakeNode } from '../support/fake-node.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';
import { connectClient, openWebSocket, startWebSocket } from '../support/websockets.ts';

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
  const socket = startWebSocket(proxy.port);
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
  await until(() => got === toDevice, 'all that the node has sent', 20_000);

  link.pause();
  const toNode = await flood((bytes) => new Promise((taken) => socket.send(bytes, taken)));
  expect(toNode).toBeLessThan(FLOOD_BYTES);
  let came = 0;
  link.on('data', (chunk: Buffer) => {
    came += chunk.length;
  });
  link.resume();
  await until(() => came === toNode, 'all that the device has sent', 20_000);
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
    const socket = startWebSocket(proxy.port, '/mqtt', wsOptions);
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
  const slow = openSocket(proxy.port);
  slow.write('GET /mqtt HTTP/1.1\r\nHost: ');
  const { closed } = await openWebSocket(proxy.port);
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
  const client = await connectClient(proxy.port, { clientId: 'survivor', protocolVersion: 5 });
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
