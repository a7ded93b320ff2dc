import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { connectBytes, openSocket } from '../support/devices.ts';
import { type FakeNode, fakeNode } from '../support/fake-node.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';
import { connectClient, openWebSocket, startWebSocket } from '../support/websockets.ts';

/** More than the kernel keeps for the four sockets on the way. */
const FLOOD_BYTES = 64 * 1024 * 1024;
const STUCK_MS = 300;
/** PUBLISH with QoS 0. */
const PACKET = Buffer.concat([Buffer.of(0x30, 0xfc, 0xff, 0x03, 0, 1, 0x74), Buffer.alloc(65_529, 'x')]);

/** Sends until it is stuck, or everything is sent; returns how much it was. */
async function flood(send: (bytes: Buffer) => Promise<unknown>): Promise<number> {
  let sent = 0;
  for (let isStuck = false; !isStuck && sent < FLOOD_BYTES; sent += PACKET.length) {
    isStuck = await Promise.race([send(PACKET).then(() => false), sleep(STUCK_MS, true)]);
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

/**
 * Counts what comes of `PACKET`s. PINGREQs between them are answered, as by any broker: the proxy asks whether the node hangs, and
 * would let the device wait.
 */
function serve(link: Socket): { came: number } {
  const served = { came: 0 };
  let isPing = false;
  let left = 0;
  link.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      if (left === 0) {
        isPing = chunk[at] === 0xc0;
        left = isPing ? 2 : PACKET.length;
        if (isPing) link.write(Buffer.of(0xd0, 0));
      }
      const part = Math.min(left, chunk.length - at);
      if (!isPing) served.came += part;
      left -= part;
      at += part;
    }
  });
  return served;
}

const nodesAt = (brokers: readonly Mosquitto[], name: string) =>
  brokers.map(({ url }, i) => ({ id: `${name}${i}`, url }));

describe.each([
  ['epoll', 'relay'],
  ['node', 'session'],
])('%s engine', (engine, mode) => {
  let node: FakeNode;
  let pair: Mosquitto[];
  let proxy: Breakwater;

  beforeAll(async () => {
    node = await fakeNode();
    pair = await Promise.all([startMosquitto(), startMosquitto()]);
    const three = await Promise.all([startMosquitto(), startMosquitto(), startMosquitto()]);
    proxy = await startBreakwater({
      proxy: { engine, threads: 1 },
      listeners: [
        { url: 'ws://127.0.0.1:0', mode, pool: 'fake' },
        { url: 'ws://127.0.0.1:0', pool: 'pair' },
        { url: 'ws://127.0.0.1:0', pool: 'seats' },
      ],
      pools: {
        fake: { nodes: [{ id: 'n', url: `mqtt://127.0.0.1:${node.target.port}` }] },
        pair: { nodes: nodesAt(pair, 'pair') },
        seats: {
          strategy: 'least-connections',
          persistence: { by: 'cookie', name: 'seat', expires: 60 },
          nodes: nodesAt(three, 'seat'),
        },
      },
    });
    return () => node.stop();
  });

  test(`back-pressure bounds what waits, either way: ${mode} mode`, async () => {
    const socket = startWebSocket(proxy.port);
    await once(socket, 'open');
    socket.send(connectBytes('flooded'));
    const link = await linkOf(node);
    const served = serve(link);
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
    link.resume();
    await until(() => served.came === toNode, 'all that the device has sent', 20_000);
  });

  test('a broker is killed: the WebSocket stays, the session moves', async () => {
    const client = await connectClient(proxy.ports[1] ?? 0, { clientId: 'survivor', protocolVersion: 5 });
    const ends: string[] = [];
    client.on('close', () => ends.push('closed'));
    const got: string[] = [];
    client.on('message', (_topic, payload) => got.push(`${payload}`));
    await client.subscribeAsync('news', { qos: 1 });
    const { node } = await proxy.api<{ node: string }>('clients/survivor');
    pair[node === 'pair0' ? 0 : 1]?.kill('SIGKILL');
    const place = () => proxy.api<{ node: string }>('clients/survivor').catch(() => undefined);
    await until(async () => (await place())?.node !== node, 'the move');
    await client.publishAsync('news', 'still here', { qos: 1 });
    await until(() => got.includes('still here'), 'the message');
    expect(ends).toEqual([]);
  });

  test('persistence by cookie: the answer to the upgrade names the node, and the cookie finds it again', async () => {
    /** Comes with the cookie; tells the node, and the cookie that was set. */
    const come = async (clientId: string, cookie?: string) => {
      const wsOptions = cookie === undefined ? {} : { headers: { cookie: `other=1; ${cookie}` } };
      const socket = startWebSocket(proxy.ports[2] ?? 0, '/mqtt', wsOptions);
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
