import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ClientDetail, ClientList } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { startProxy } from '../support/cluster.ts';
import { clientIds } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { temporaryDirectory } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { type Talker, type TalkerOptions, talk } from '../support/talker.ts';
import { until } from '../support/wait.ts';

/** Who owns a client id is the broker's to say: what a device sees through a proxy is what it sees at the broker. */

const password = Buffer.from('right');
const will = (topic: string) => ({ topic, payload: Buffer.from('gone'), qos: 1 as const, retain: false });

let rounds = 0;

/** Everything that is published under `will/`, as the broker itself tells. */
async function watchWills({ port }: Mosquitto, username = 'watcher'): Promise<() => string[]> {
  const watcher = talk(port, { clientId: `watcher-${++rounds}`, username, password });
  await watcher.code();
  watcher.say({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'will/#', qos: 0 }] });
  await until(() => watcher.heard.some(({ cmd }) => cmd === 'suback'), 'the watcher to watch');
  return () => watcher.heard.flatMap((packet) => (packet.cmd === 'publish' ? [packet.topic] : []));
}

/** Hears what it says to itself: it is served. */
async function isServed(device: Talker): Promise<void> {
  const text = `round ${++rounds}`;
  device.say({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: text, qos: 0 }] });
  device.say({ cmd: 'publish', topic: text, payload: text, qos: 0, dup: false, retain: false });
  await until(
    () => device.heard.some((packet) => packet.cmd === 'publish' && packet.topic === text),
    'a device to hear itself',
    5_000,
  );
}

async function accepted(port: number, options: TalkerOptions): Promise<Talker> {
  const device = talk(port, options);
  expect(await device.code()).toBe(0);
  return device;
}

describe('a login that the broker refuses', () => {
  let broker: Mosquitto;

  beforeAll(async () => {
    const file = join(temporaryDirectory(), 'passwords');
    for (const [i, user] of ['meter', 'watcher'].entries())
      execFileSync('mosquitto_passwd', [...(i === 0 ? ['-c'] : []), '-b', file, user, 'right']);
    broker = await startMosquitto({ config: `allow_anonymous false\npassword_file ${file}` });
  });

  /** 54 wrong logins, here as there, while the device with the client id is connected. */
  async function bother(
    device: Talker,
    topic: string,
    clientId: string,
    ports: readonly number[],
  ): Promise<void> {
    const wills = await watchWills(broker);
    const wrong = Array.from({ length: 54 }, (_, i) => {
      const login = { clientId, username: 'meter', password: Buffer.from(`wrong ${i}`) };
      return talk(ports[i % ports.length] as number, { ...login, protocolVersion: i % 3 === 0 ? 5 : 4 });
    });
    for (const each of wrong) expect([5, 0x87]).toContain(await each.code());
    await isServed(device);
    expect(device.isClosed()).toBe(false);
    expect(wills()).not.toContain(topic);
  }

  test.concurrent.each([
    ['session', 'epoll', 'none'],
    ['session', 'node', 'none'],
    ['session', 'epoll', 'client-id'],
    ['relay', 'epoll', 'client-id'],
  ])('ends nobody: %s mode, %s engine, persistence by %s', async (mode, engine, by) => {
    const proxy = await startBreakwater({
      proxy: { engine, threads: 2 },
      listeners: [{ url: 'mqtt://127.0.0.1:0', mode }],
      pools: { default: { nodes: [{ url: broker.url }], persistence: { by } } },
    });
    const clientId = `meter-${mode}-${engine}-${by}`;
    const topic = `will/${clientId}`;
    const device = await accepted(proxy.port, { clientId, username: 'meter', password, will: will(topic) });
    await bother(device, topic, clientId, [proxy.port, proxy.port]);
    expect(await proxy.api('clients')).toMatchObject({ total: 1 });
    expect(proxy.logs().filter(({ msg }) => msg === 'device ended')).toEqual([]);
  });

  test.concurrent.each(['session', 'relay'])('ends nobody at another proxy: %s mode', async (mode) => {
    const redis = await startRedis();
    const pools = { default: { nodes: [{ id: 'n', url: broker.url }], persistence: { by: 'client-id' } } };
    const start = (id: string) =>
      startProxy(redis, id, { listeners: [{ url: 'mqtt://127.0.0.1:0', mode }], pools });
    const [p1, p2] = await Promise.all([start('p1'), start('p2')]);
    const clientId = `meter-${mode}-two`;
    const topic = `will/${clientId}`;
    const device = await accepted(p1.port, { clientId, username: 'meter', password, will: will(topic) });
    await bother(device, topic, clientId, [p1.port, p2.port]);
  });
});

describe('two devices with one client id', () => {
  test.concurrent.each([
    'epoll',
    'node',
  ])('both live where the broker knows them by their usernames, and both move (%s)', async (engine) => {
    const config = 'use_username_as_clientid true';
    const brokers = await Promise.all([startMosquitto({ config }), startMosquitto({ config })]);
    const nodes = brokers.map(({ url }, i) => ({ id: `n${i}`, url }));
    const proxy = await startBreakwater({ proxy: { engine, threads: 1 }, pools: { default: { nodes } } });
    const esp = (username: string) => accepted(proxy.port, { clientId: 'ESP32Client', username });
    const devices = [await esp('alice'), await esp('bob'), await esp('carol'), await esp('dave')];
    for (const device of devices) await isServed(device);
    expect(await proxy.api('clients?match=ESP32Client')).toMatchObject({ total: 4 });
    brokers[0]?.kill('SIGKILL');
    const gone = async () => {
      const { clients } = await proxy.api<ClientList>('clients');
      return clients.length === 4 && clients.every(({ node }) => node === 'n1');
    };
    await until(gone, 'all four to be at the other node');
    for (const device of devices) await isServed(device);
    expect(devices.map((device) => device.isClosed())).toEqual([false, false, false, false]);
  });

  test.concurrent('both live behind two listeners whose brokers are unrelated', async () => {
    const [north, south] = await Promise.all([startMosquitto(), startMosquitto()]);
    const proxy = await startBreakwater({
      listeners: [
        { url: 'mqtt://127.0.0.1:0', pool: 'north' },
        { url: 'mqtt://127.0.0.1:0', pool: 'south' },
      ],
      pools: {
        north: { nodes: [{ id: 'n', url: north.url }] },
        south: { nodes: [{ id: 's', url: south.url }] },
      },
    });
    const devices: Talker[] = [];
    for (const port of proxy.ports) devices.push(await accepted(port, { clientId: 'twin' }));
    for (const device of devices) await isServed(device);
    const { clients } = await proxy.api<ClientList>('clients');
    expect(clients.map(({ clientId, node }) => `${clientId} ${node}`).sort()).toEqual(['twin n', 'twin s']);
    await proxy.api('clients/twin', { method: 'DELETE' });
    await until(() => devices.every((device) => device.isClosed()), 'both to be disconnected');
  });
});

describe('devices without a client id', () => {
  test.concurrent.each([
    'session',
    'relay',
  ])('are nobody’s, spread over the nodes and listed each (%s mode)', async (mode) => {
    const [redis, ...brokers] = await Promise.all([startRedis(), startMosquitto(), startMosquitto()]);
    const nodes = brokers.map(({ url }, i) => ({ id: `n${i}`, url }));
    const pool = { nodes, persistence: { by: 'client-id' } };
    const start = (id: string, strategy: string) =>
      startProxy(redis, id, {
        listeners: [{ url: 'mqtt://127.0.0.1:0', mode }],
        pools: { default: { ...pool, strategy } },
      });
    const proxies = await Promise.all([start('p1', 'least-connections'), start('p2', 'client-id-hash')]);
    const devices: Talker[] = [];
    for (const { port } of proxies) {
      for (let i = 0; i < 6; i++) devices.push(await accepted(port, { clientId: '' }));
      for (let i = 0; i < 6; i++) devices.push(await accepted(port, { clientId: '', protocolVersion: 5 }));
    }
    for (const device of devices) await isServed(device);
    expect(devices.filter((device) => device.isClosed())).toEqual([]);
    const list = async () => (await proxies[0]?.api<ClientList>('clients'))?.clients ?? [];
    const clients = await until(
      async () => (await list()).length === devices.length && (await list()),
      'all to be listed',
    );
    expect(new Set(clients.map(({ connection, proxy }) => `#${connection}@${proxy}`)).size).toBe(
      devices.length,
    );
    for (const id of ['p1', 'p2']) {
      const own = clients.filter(({ proxy }) => proxy === id);
      expect(new Set(own.map(({ node }) => node)).size).toBe(2);
      // Of MQTT 5 the broker tells the id that it has given; before, it does not.
      expect(new Set(own.map(({ clientId }) => clientId)).size).toBe(7);
    }
    const [{ connection, proxy } = { connection: 0, proxy: '' }] = clients.filter(
      ({ clientId }) => clientId === '',
    );
    const path = `clients/${encodeURIComponent(`#${connection}@${proxy}`)}`;
    expect(await proxies[0]?.api(path)).toMatchObject({ connection, proxy, clientId: '' });
    await proxies[0]?.api(path, { method: 'DELETE' });
    await until(async () => (await list()).length === devices.length - 1, 'the one to be gone');
  });
});

test('a session without a node is listed, asked for and disconnected', async () => {
  const broker = await startMosquitto();
  const proxy = await startBreakwater({ pools: { default: { nodes: [{ id: 'n', url: broker.url }] } } });
  const device = await accepted(proxy.port, { clientId: 'lost' });
  broker.kill('SIGKILL');
  await until(
    async () => (await proxy.api<ClientDetail>('clients/lost')).session?.served === false,
    'the node to be missed',
  );
  expect(await proxy.api('clients')).toMatchObject({ total: 1, clients: [{ clientId: 'lost', node: 'n' }] });
  expect(await proxy.api('clients?node=n')).toMatchObject({ total: 1 });
  await proxy.api('clients/lost', { method: 'DELETE' });
  await until(() => device.isClosed(), 'it to be disconnected');
});

describe('a takeover', () => {
  /** What becomes of a device when another one with its client id connects. */
  async function story(port: number, broker: Mosquitto, old: TalkerOptions, young: TalkerOptions) {
    const wills = await watchWills(broker);
    const topic = 'will/dev';
    const clientId = `dev-${++rounds}`;
    const older = await accepted(port, { ...old, clientId, will: will(topic) });
    const newer = await accepted(port, { ...young, clientId });
    await until(() => older.isClosed(), 'the older one to be closed', 5_000);
    await isServed(newer);
    const told = older.heard.map((packet) => (packet.cmd === 'disconnect' ? packet.reasonCode : packet.cmd));
    return { told, wills: wills(), isNewerClosed: newer.isClosed() };
  }

  const kinds: Record<string, Omit<TalkerOptions, 'clientId'>> = {
    '3.1.1 clean': { clean: true },
    '3.1.1 kept': { clean: false },
    '5.0 clean': { protocolVersion: 5, clean: true },
    '5.0 kept': { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 60 } },
  };

  test.concurrent('is what it is at the broker: the reason, the close, and the Will', async () => {
    const broker = await startMosquitto();
    const pools = { default: { nodes: [{ url: broker.url }] } };
    const start = (engine: string, threads: number) => startBreakwater({ proxy: { engine, threads }, pools });
    const proxies = await Promise.all([start('epoll', 2), start('node', 1)]);
    for (const [oldName, old] of Object.entries(kinds)) {
      for (const [youngName, young] of Object.entries(kinds)) {
        const which = `${oldName}, then ${youngName}`;
        const direct = await story(broker.port, broker, old as TalkerOptions, young as TalkerOptions);
        for (const { port } of proxies) {
          const through = await story(port, broker, old as TalkerOptions, young as TalkerOptions);
          // A word more than here and there from mosquitto, which has none for an old 5.0 and a new 3.1.1.
          if (oldName.startsWith('5.0')) expect(through.told).toEqual(['connack', 0x8e]);
          expect({ which, ...through, told: direct.told }).toEqual({ which, ...direct });
        }
      }
    }
    for (const proxy of proxies) {
      const ends = proxy
        .logs()
        .filter(({ msg, reason }) => msg === 'device ended' && reason === 'taken-over');
      expect(ends.length).toBeGreaterThan(0);
      expect(proxy.logs().filter(({ msg }) => msg === 'session moved')).toEqual([]);
    }
  });

  test.concurrent.each([
    4, 5,
  ] as const)('by a client of the broker’s own is no loss of the node (version %i)', async (protocolVersion) => {
    const broker = await startMosquitto();
    const proxy = await startBreakwater({ pools: { default: { nodes: [{ url: broker.url }] } } });
    const kind = { clientId: 'dev', protocolVersion };
    const device = await accepted(proxy.port, kind);
    const direct = await accepted(broker.port, kind);
    await until(() => device.isClosed(), 'the device to be closed');
    await isServed(direct);
    expect(direct.isClosed()).toBe(false);
    expect(proxy.logs().filter(({ msg }) => msg === 'session moved')).toEqual([]);
  });

  describe.each(['threads', 'proxies'])('over two %s', (over) => {
    let broker: Mosquitto;
    let proxies: Breakwater[];

    beforeAll(async () => {
      const redis = await startRedis();
      broker = await startMosquitto();
      const pools = { default: { nodes: [{ id: 'n', url: broker.url }] } };
      proxies =
        over === 'threads'
          ? [await startBreakwater({ proxy: { engine: 'epoll', threads: 2 }, pools })]
          : await Promise.all([startProxy(redis, 'p1', { pools }), startProxy(redis, 'p2', { pools })]);
    });

    test.each(
      Object.entries(kinds),
    )('%s: the older one goes, and throws no newer one out', async (name, kind) => {
      const clientId = `dev-${name.replaceAll(' ', '-')}`;
      const devices: Talker[] = [];
      for (let i = 0; i < 12; i++) {
        const { port } = proxies[i % proxies.length] as Breakwater;
        devices.push(await accepted(port, { ...kind, clientId, will: will(`will/${clientId}`) }));
        await until(
          () => devices.slice(0, -1).every((device) => device.isClosed()),
          'the older ones to go',
          5_000,
        );
      }
      await isServed(devices.at(-1) as Talker);
      expect(devices.at(-1)?.isClosed()).toBe(false);
      for (const proxy of proxies)
        expect(proxy.logs().filter(({ msg }) => msg === 'session moved')).toEqual([]);
    });

    test.each([
      4, 5,
    ] as const)('of 100 devices at once says nothing of their node (version %i)', async (protocolVersion) => {
      const connectAll = async (at: number) => {
        const { port } = proxies[at % proxies.length] as Breakwater;
        const all = clientIds(100, `crowd-${protocolVersion}`).map((clientId) =>
          talk(port, { clientId, protocolVersion, will: will(`will/${clientId}`) }),
        );
        for (const device of all) expect(await device.code()).toBe(0);
        return all;
      };
      let older = await connectAll(0);
      for (let round = 1; round < 4; round++) {
        const newer = await connectAll(round);
        await until(() => older.every((device) => device.isClosed()), 'the older ones to go');
        older = newer;
      }
      for (const device of older) await isServed(device);
      expect(older.filter((device) => device.isClosed())).toEqual([]);
      for (const proxy of proxies)
        expect(proxy.logs().filter(({ msg }) => msg === 'session moved')).toEqual([]);
    });
  });
});
