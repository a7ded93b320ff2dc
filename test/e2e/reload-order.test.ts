import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ReloadView } from '../../src/admin/backend.ts';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { connectDevice, connectDevices, type Device } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { ask, startHttpNode } from '../support/http.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';

/** Whoever comes while a reload is under way finds a node, by the routes of before or by the new ones. */
describe.each([fastestEngine, 'node'] as const)('%s engine: while a reload is under way', (engine) => {
  let brokers: Awaited<ReturnType<typeof startAedes>>;
  let proxy: Breakwater;
  let web: string;
  let webNodes: object[];

  beforeAll(async () => {
    brokers = await startAedes(2);
    const node = await startHttpNode((_, response) => response.end('served'));
    const other = await startHttpNode((_, response) => response.end('served'));
    webNodes = [node, other].map(({ url }, index) => ({ id: `w${index}`, url }));
    web = `http://127.0.0.1:${await freePort()}`;
    proxy = await startBreakwater(config());
  });

  const mqtt = (pool: string) => ({ url: 'mqtt://127.0.0.1:0', pool });
  const nodeAt = (index: number) => ({ id: `n${index}`, url: brokers[index]?.url });
  /** A name that takes its time not to be found, and one that is found. */
  const slow = { id: 'slow', url: 'mqtt://no-such-host.invalid:1883' };
  function config(changes: object = {}) {
    return {
      proxy: { engine, threads: engine !== 'node' ? 2 : 1 },
      listeners: [mqtt('a'), { url: web, pool: 'wa' }],
      pools: { a: { nodes: [nodeAt(0)] }, wa: { nodes: [webNodes[0]] } },
      ...changes,
    };
  }
  async function reload(changes: object = {}): Promise<ReloadView> {
    proxy.rewrite(config(changes));
    return proxy.api<ReloadView>('reload', { method: 'POST' });
  }

  /** Reloads while one device after the other comes to each listener; what they are answered. */
  async function comeDuring(changes: object): Promise<{ codes: Set<number>; statuses: Set<number> }> {
    const [codes, statuses] = [new Set<number>(), new Set<number>()];
    let isOver = false;
    const devices = (async () => {
      for (let i = 0; !isOver || i < 5; i++) {
        const { code, socket } = await connectDevice(proxy.port, `comes-${i}`);
        codes.add(code);
        socket.destroy();
      }
    })();
    const requests = (async () => {
      for (let i = 0; !isOver || i < 5; i++) statuses.add((await ask(web)).status);
    })();
    await reload(changes);
    isOver = true;
    await Promise.all([devices, requests]);
    return { codes, statuses };
  }
  const allServed = { codes: new Set([0]), statuses: new Set([200]) };

  test('a pool in place of another, with other nodes, takes over without a gap', async () => {
    const changes = {
      listeners: [mqtt('b'), { url: web, pool: 'wb' }],
      pools: { b: { nodes: [nodeAt(1), slow] }, wb: { nodes: [webNodes[1]] } },
    };
    for (let round = 0; round < 3; round++) {
      expect(await comeDuring(changes)).toEqual(allServed);
      expect(await comeDuring({})).toEqual(allServed);
    }
  });

  test('a pool that is given another name keeps its nodes without a gap', async () => {
    const renamed = {
      listeners: [mqtt('c'), { url: web, pool: 'wc' }],
      pools: { c: { nodes: [nodeAt(0)] }, wc: { nodes: [webNodes[0]] } },
    };
    for (let round = 0; round < 3; round++) {
      expect(await comeDuring(renamed)).toEqual(allServed);
      expect(await comeDuring({})).toEqual(allServed);
    }
  });

  test('a new listener of a new pool serves its first device', async () => {
    for (let round = 0; round < 3; round++) {
      const [port, webPort] = [await freePort(), await freePort()];
      const added = [
        { url: `mqtt://127.0.0.1:${port}`, pool: 'b' },
        { url: `http://127.0.0.1:${webPort}`, pool: 'wb' },
      ];
      const pools = { b: { nodes: [nodeAt(1), slow] }, wb: { nodes: [webNodes[1]] } };
      const reloading = reload({
        listeners: [...config().listeners, ...added],
        pools: { ...config().pools, ...pools },
      });
      const first = await until(() => connectDevice(port, 'first').catch(() => undefined), 'the listener');
      expect(first.code).toBe(0);
      const answer = await until(() => ask(added[1]?.url ?? '').catch(() => undefined), 'the listener');
      expect(answer.status).toBe(200);
      await reloading;
      await reload();
    }
  });
});

describe('sessions of a pool that is gone', () => {
  let proxy: Breakwater;
  let devices: Device[];
  let nodes: { id: string; url: string }[];
  const ids = ['rule-1', 'listener-1', 'banned-1'];
  const ends = new Map<string, number[]>();

  beforeAll(async () => {
    const brokers = await Promise.all([startMosquitto(), startMosquitto(), startMosquitto()]);
    nodes = brokers.map(({ url }, index) => ({ id: `n${index}`, url }));
    proxy = await startBreakwater({
      listeners: [{ url: 'mqtt://127.0.0.1:0', pool: 'old' }],
      pools: { old: { nodes: [nodes[0]] } },
    });
    devices = await connectDevices(proxy.port, ids, () => ({ protocolVersion: 5 }));
    for (const { socket, clientId } of devices) {
      socket.on('data', (bytes: Buffer) => ends.set(clientId, [...bytes]));
      socket.once('close', () => ends.set(clientId, [...(ends.get(clientId) ?? []), -1]));
    }
  });
  afterAll(() => expect([...ends.keys()].filter((clientId) => clientId !== 'banned-1')).toEqual([]));

  test('follow to the pool that their rule or listener has now, or are told that there is none', async () => {
    const banned = devices.find(({ clientId }) => clientId === 'banned-1');
    const closed = once(banned?.socket as never, 'close');
    proxy.rewrite({
      listeners: [{ url: 'mqtt://127.0.0.1:0', pool: 'new' }],
      pools: { new: { nodes: [nodes[1]] }, ruled: { nodes: [nodes[2]] } },
      rules: [
        { when: { clientId: '^rule-' }, pool: 'ruled' },
        { when: { clientId: '^banned-' }, reject: 'banned' },
      ],
    });
    await proxy.api('reload', { method: 'POST' });
    const nodeOf = async (id: string) => (await proxy.api<{ node: string }>(`clients/${id}`)).node;
    await until(async () => (await nodeOf('listener-1')) === 'n1', 'the session at the new pool');
    await until(async () => (await nodeOf('rule-1')) === 'n2', 'the session at the pool of its rule');
    await closed;
    expect(ends.get('banned-1')?.slice(0, 3)).toEqual([0xe0, expect.any(Number), 0x98]);
    await until(
      () => proxy.logs().some(({ reason, clientId }) => reason === 'pool-removed' && clientId === 'banned-1'),
      'the log line of its end',
    );
  });
});
