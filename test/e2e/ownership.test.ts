import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ClientDetail, ClientList } from '../../src/admin/backend.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { startProxy } from '../support/cluster.ts';
import { clientIds } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { temporaryDirectory } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { type Talker, type TalkerOptions, talk } from '../support/talker.ts';
import { patience, until } from '../support/wait.ts';

/**
 * Who owns a client id is the broker's to say: what a device sees through a proxy is what it sees at the broker. Three
 * proxies of one cluster, each with a listener for every pool.
 */
const listeners = {
  secured: { pool: 'secured' },
  securedRelay: { pool: 'secured', mode: 'relay' },
  plain: { pool: 'plain' },
  usernames: { pool: 'usernames' },
  north: { pool: 'north' },
  south: { pool: 'south' },
  anyone: { pool: 'anyone' },
  anyoneRelay: { pool: 'anyone', mode: 'relay' },
  hashed: { pool: 'hashed' },
  lost: { pool: 'lost' },
} as const;
type Name = keyof typeof listeners;

let brokers: Record<'secured' | 'plain' | 'first' | 'second' | 'north' | 'south' | 'lost', Mosquitto>;
/** Two of the epoll engine with two threads each, and one of the node engine. */
let p1: Breakwater;
let p2: Breakwater;
let p3: Breakwater;
const portOf = (proxy: Breakwater, name: Name): number =>
  proxy.ports[Object.keys(listeners).indexOf(name)] as number;

beforeAll(async () => {
  const file = join(temporaryDirectory(), 'passwords');
  for (const [i, user] of ['meter', 'watcher'].entries())
    execFileSync('mosquitto_passwd', [...(i === 0 ? ['-c'] : []), '-b', file, user, 'right']);
  const byUsername = { config: 'use_username_as_clientid true' };
  const [redis, secured, plain, first, second, north, south, lost] = await Promise.all([
    startRedis(),
    startMosquitto({ config: `allow_anonymous false\npassword_file ${file}` }),
    startMosquitto(),
    startMosquitto(byUsername),
    startMosquitto(byUsername),
    startMosquitto(),
    startMosquitto(),
    startMosquitto(),
  ]);
  brokers = { secured, plain, first, second, north, south, lost };
  const nodes = (...named: (keyof typeof brokers)[]) => named.map((id) => ({ id, url: brokers[id].url }));
  const persistence = { by: 'client-id' };
  const again = (id: string, { url }: Mosquitto) => ({ id, url });
  const pools = {
    secured: { nodes: nodes('secured'), persistence },
    plain: { nodes: nodes('plain') },
    usernames: { nodes: nodes('first', 'second'), health: { interval: 2 } },
    north: { nodes: nodes('north') },
    south: { nodes: nodes('south') },
    anyone: { nodes: [again('n', north), again('s', south)], persistence },
    hashed: { nodes: [again('hn', north), again('hs', south)], strategy: 'client-id-hash' },
    lost: { nodes: nodes('lost') },
  };
  const start = (id: string, engine: string) =>
    startProxy(redis, id, {
      proxy: { id, engine, threads: engine === 'node' ? 1 : 2 },
      listeners: Object.values(listeners).map((each) => ({ url: 'mqtt://127.0.0.1:0', ...each })),
      pools,
    });
  [p1, p2, p3] = await Promise.all([start('p1', 'epoll'), start('p2', 'epoll'), start('p3', 'node')]);
}, patience(120_000));

const password = Buffer.from('right');
const will = (topic: string) => ({ topic, payload: Buffer.from('gone'), qos: 1 as const, retain: false });
let rounds = 0;

/** Everything that is published under `will/`, as the broker itself tells. */
async function watchWills({ port }: Mosquitto): Promise<() => string[]> {
  const watcher = talk(port, { clientId: `watcher-${++rounds}`, username: 'watcher', password });
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
  const hasHeard = () => device.heard.some((packet) => packet.cmd === 'publish' && packet.topic === text);
  await until(hasHeard, 'a device to hear itself');
}

async function accepted(port: number, options: TalkerOptions): Promise<Talker> {
  const device = talk(port, options);
  expect(await device.code()).toBe(0);
  return device;
}

/** Log lines of this kind about devices whose ids begin so. */
const logged = (proxy: Breakwater, wanted: string, clientId: string) =>
  proxy.logs().filter((line) => line.msg === wanted && `${line.clientId}`.startsWith(clientId));

async function listed(match: string): Promise<ClientList['clients']> {
  return (await p1.api<ClientList>(`clients?limit=1000&match=${match}`)).clients;
}

test.each([
  'secured',
  'securedRelay',
] as const)('a login that the broker refuses ends nobody, here or at another proxy (%s)', async (name) => {
  for (const home of [p1, p3]) {
    const clientId = `meter-${name}-${++rounds}`;
    const login = { clientId, username: 'meter', password, will: will(`will/${clientId}`) };
    const wills = await watchWills(brokers.secured);
    const device = await accepted(portOf(home, name), login);
    const wrong = Array.from({ length: 54 }, (_, i) =>
      talk(portOf(i % 2 === 0 ? home : p2, name), {
        ...{ clientId, username: 'meter', password: Buffer.from(`wrong ${i}`) },
        protocolVersion: i % 3 === 0 ? 5 : 4,
      }),
    );
    for (const each of wrong) expect([5, 0x87]).toContain(await each.code());
    await isServed(device);
    expect([device.isClosed(), wills()]).toEqual([false, []]);
    expect(await listed(clientId)).toMatchObject([{ clientId }]);
    for (const proxy of [home, p2]) expect(logged(proxy, 'device ended', clientId)).toEqual([]);
  }
});

describe('devices with one client id', () => {
  test('both live where the broker knows them by their usernames, and move when it dies', async () => {
    for (const proxy of [p1, p3]) {
      const esp = (username: string) =>
        accepted(portOf(proxy, 'usernames'), { clientId: 'ESP32Client', username });
      const names = ['alice', 'bob', 'carol', 'dave'];
      const devices: Talker[] = [];
      for (const name of names) devices.push(await esp(`${name}-${++rounds}`));
      for (const device of devices) await isServed(device);
      brokers.first.kill('SIGKILL');
      const own = async () =>
        (await listed('ESP32Client')).filter(({ proxy: id }) => id === (proxy === p1 ? 'p1' : 'p3'));
      await until(
        async () => (await own()).filter(({ node }) => node === 'second').length === 4,
        'all to have moved',
      );
      for (const device of devices) await isServed(device);
      expect(devices.map((device) => device.isClosed())).toEqual([false, false, false, false]);
      for (const device of devices) device.vanish();
      await brokers.first.restart();
      const isBack = async () => (await p3.api<{ health: string }>('nodes/first')).health === 'healthy';
      await until(isBack, 'the broker to be back');
    }
  });

  test('both live behind two listeners whose brokers are unrelated', async () => {
    const devices: Talker[] = [];
    for (const name of ['north', 'south'] as const)
      devices.push(await accepted(portOf(p1, name), { clientId: 'twin' }));
    for (const device of devices) await isServed(device);
    expect((await listed('twin')).map(({ node }) => node).sort()).toEqual(['north', 'south']);
    await p1.api('clients/twin', { method: 'DELETE' });
    await until(() => devices.every((device) => device.isClosed()), 'both to be disconnected');
  });
});

test.each([
  'anyone',
  'anyoneRelay',
  'hashed',
] as const)('devices without a client id are nobody’s, spread over the nodes and listed each (%s)', async (name) => {
  const before = new Set((await listed('')).map(({ connection, proxy }) => `#${connection}@${proxy}`));
  const devices: Talker[] = [];
  for (const proxy of [p1, p2]) {
    for (let i = 0; i < 16; i++) {
      const protocolVersion = i % 2 === 0 ? 4 : 5;
      devices.push(await accepted(portOf(proxy, name), { clientId: '', protocolVersion }));
    }
  }
  for (const device of devices) await isServed(device);
  expect(devices.filter((device) => device.isClosed())).toEqual([]);
  const added = async () =>
    (await listed('')).filter(({ connection, proxy }) => !before.has(`#${connection}@${proxy}`));
  const clients = await until(
    async () => (await added()).length === 32 && (await added()),
    'all to be listed',
  );
  for (const id of ['p1', 'p2']) {
    const own = clients.filter(({ proxy }) => proxy === id);
    expect(new Set(own.map(({ node }) => node)).size).toBe(2);
    // Of MQTT 5 the broker tells the id that it has given; before, it does not.
    expect(own.filter(({ clientId }) => clientId === '')).toHaveLength(8);
    expect(new Set(own.map(({ clientId }) => clientId)).size).toBe(9);
  }
  const one = clients.find(({ clientId, proxy }) => clientId === '' && proxy === 'p2');
  const path = `clients/${encodeURIComponent(`#${one?.connection}@p2`)}`;
  expect(await p1.api(path)).toMatchObject({ connection: one?.connection, proxy: 'p2', clientId: '' });
  await p1.api(path, { method: 'DELETE' });
  await until(async () => (await added()).length === 31, 'the one to be gone');
});

test('a session without a node is listed, asked for and disconnected', async () => {
  const device = await accepted(portOf(p1, 'lost'), { clientId: 'adrift' });
  brokers.lost.kill('SIGKILL');
  const isAdrift = async () => (await p1.api<ClientDetail>('clients/adrift')).session?.served === false;
  await until(isAdrift, 'the node to be missed');
  expect(await listed('adrift')).toMatchObject([{ clientId: 'adrift', node: 'lost' }]);
  expect(await p1.api('clients?node=lost')).toMatchObject({ total: 1 });
  await p1.api('clients/adrift', { method: 'DELETE' });
  await until(() => device.isClosed(), 'it to be disconnected');
});

describe('a takeover', () => {
  const kinds: Record<string, Omit<TalkerOptions, 'clientId'>> = {
    '3.1.1 clean': { clean: true },
    '3.1.1 kept': { clean: false },
    '5.0 clean': { protocolVersion: 5, clean: true },
    '5.0 kept': { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 60 } },
  };

  /** What becomes of a device when another one with its client id connects. */
  async function story(port: number, old: object, young: object) {
    const wills = await watchWills(brokers.plain);
    const clientId = `dev-${++rounds}`;
    const older = await accepted(port, { ...old, clientId, will: will('will/dev') });
    const newer = await accepted(port, { ...young, clientId });
    await until(() => older.isClosed(), 'the older one to be closed');
    await isServed(newer);
    const told = older.heard.map((packet) => (packet.cmd === 'disconnect' ? packet.reasonCode : packet.cmd));
    return { told, wills: wills(), isNewerClosed: newer.isClosed() };
  }

  test('is what it is at the broker: the reason, the close, and the Will', async () => {
    for (const [oldName, old] of Object.entries(kinds)) {
      for (const [youngName, young] of Object.entries(kinds)) {
        const which = `${oldName}, then ${youngName}`;
        const direct = await story(brokers.plain.port, old, young);
        for (const proxy of [p1, p3]) {
          const through = await story(portOf(proxy, 'plain'), old, young);
          // A word more than here and there from mosquitto, which has none for an old 5.0 and a new 3.1.1.
          if (oldName.startsWith('5.0')) expect(through.told).toEqual(['connack', 0x8e]);
          expect({ which, ...through, told: direct.told }).toEqual({ which, ...direct });
        }
      }
    }
    for (const proxy of [p1, p3]) {
      const ends = logged(proxy, 'device ended', 'dev-').map(({ reason }) => reason);
      expect(ends.filter((reason) => reason === 'taken-over').length).toBeGreaterThan(0);
      expect(logged(proxy, 'session moved', 'dev-')).toEqual([]);
    }
  });

  test.each([
    4, 5,
  ] as const)('by a client of the broker’s own is no loss of the node (version %i)', async (protocolVersion) => {
    const kind = { clientId: `known-${protocolVersion}`, protocolVersion };
    const device = await accepted(portOf(p1, 'plain'), kind);
    const direct = await accepted(brokers.plain.port, kind);
    await until(() => device.isClosed(), 'the device to be closed');
    await isServed(direct);
    expect([direct.isClosed(), logged(p1, 'session moved', kind.clientId)]).toEqual([false, []]);
  });

  describe.each(['threads', 'proxies'])('over two %s', (over) => {
    const portAt = (round: number) => portOf(over === 'threads' || round % 2 === 0 ? p1 : p2, 'plain');
    const moved = (clientId: string) => [p1, p2].flatMap((proxy) => logged(proxy, 'session moved', clientId));

    test.each(
      Object.entries(kinds),
    )('%s: the older one goes, and throws no newer one out', async (name, kind) => {
      const clientId = `${over}-${name.replaceAll(' ', '-')}`;
      const devices: Talker[] = [];
      for (let i = 0; i < 12; i++) {
        devices.push(await accepted(portAt(i), { ...kind, clientId, will: will(`will/${clientId}`) }));
        await until(() => devices.slice(0, -1).every((device) => device.isClosed()), 'the older ones to go');
      }
      await isServed(devices.at(-1) as Talker);
      expect([devices.at(-1)?.isClosed(), moved(clientId)]).toEqual([false, []]);
    });

    test('of devices with one client id and other usernames says nothing of their node either', async () => {
      const ids = clientIds(4, `rival-${over}`);
      const connectAll = (round: number) =>
        Promise.all(ids.map((clientId) => accepted(portAt(round), { clientId, username: `user-${round}` })));
      let older = await connectAll(0);
      for (let round = 1; round < 6; round++) {
        const newer = await connectAll(round);
        await until(() => older.every((device) => device.isClosed()), 'the older ones to go');
        older = newer;
      }
      for (const device of older) await isServed(device);
      expect([older.map((device) => device.isClosed()), moved(`rival-${over}`)]).toEqual([
        ids.map(() => false),
        [],
      ]);
      const incidents = [p1, p2].flatMap((proxy) =>
        proxy.logs().filter(({ msg }) => msg.startsWith('links to')),
      );
      expect(incidents.map(({ node }) => node)).not.toContain('plain');
      for (const device of older) device.vanish();
    });

    test.each([
      4, 5,
    ] as const)('of 100 devices at once says nothing of their node (version %i)', async (protocolVersion) => {
      const crowd = `crowd-${over}-${protocolVersion}`;
      const connectAll = async (round: number) => {
        const all = clientIds(100, crowd).map((clientId) =>
          talk(portAt(round), { clientId, protocolVersion, will: will(`will/${clientId}`) }),
        );
        for (const device of all) expect(await device.code()).toBe(0);
        return all;
      };
      let older = await connectAll(0);
      for (let round = 1; round < 3; round++) {
        const newer = await connectAll(round);
        await until(() => older.every((device) => device.isClosed()), 'the older ones to go');
        older = newer;
      }
      await Promise.all(older.map(isServed));
      expect(older.filter((device) => device.isClosed())).toEqual([]);
      expect(moved(crowd)).toEqual([]);
    });
  });
});
