import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { pathToFileURL } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PoolConfig } from '../../src/config/config.ts';
import { defaultConfig } from '../../src/config/load.ts';
import type { Service, WorkerPoolOptions } from '../../src/data-plane/service.ts';
import type { WorkerHandle } from '../../src/data-plane/worker-handle.ts';
import type { WorkerPool } from '../../src/data-plane/worker-pool.ts';
import type { ListenerSettings, WorkerEvent } from '../../src/data-plane-api/messages.ts';
import { createTableMemory, openTable, TableWriter } from '../../src/data-plane-api/routing-table.ts';
import { allV2Fields } from '../../src/protocol/proxy-protocol/encode.ts';
import { createAuthority, tlsOptions } from '../support/certificates.ts';
import { clientIds, connectDevice, endSockets, openSocket } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { linuxEngines } from '../support/linux-engines.ts';
import { until } from '../support/wait.ts';

// A Worker runs the built program.
const built = pathToFileURL(join(import.meta.dirname, '../../dist/src/data-plane/worker-pool.js')).href;
const { WorkerPool: BuiltWorkerPool } = (await import(built)) as { WorkerPool: typeof WorkerPool };

const { limits, pools } = defaultConfig();

const settings: Service['settings'] = {
  limits: {
    maxConnections: 100,
    connectTimeoutMs: 5_000,
    maxPacketBytes: 65_536,
    pendingBytes: 67_108_864,
    highWaterBytes: 65_536,
    maxHandshakes: 1000,
    gathers: true,
    halfCloseTimeoutMs: 5_000,
    ...{ maxOfflineBytes: 65_536, maxInflightBytes: 65_536, maxStateBytes: 65_536 },
    ...{ sessionMemoryBytes: 65_536, sessionMemoryMs: 60_000 },
    ...{ http: limits.http, history: limits.history },
    upgradeGraceMs: 0,
    shutdownGraceMs: 0,
    shutdownListeners: 'close',
    refusalsTold: 0,
    rates: { messageRate: 0, byteRate: 0 },
    reconnectThrottle: { tolerated: 0, forgiveMs: 1_000, firstDelayMs: 1_000, maxDelayMs: 1_000 },
    limiter: {
      ...{ allow: [], deny: [], connectRate: 0, connectRatePerSource: 0 },
      ...{ maxConnectionsPerListener: 0, maxConnectionsPerSource: 0 },
    },
  },
  upstreamTls: [],
  followsSessions: true,
  pools: [
    {
      name: 'default',
      strategy: 'round-robin',
      persistence: { by: 'none' },
      slowStartMs: 0,
      discovery: [],
      health: {
        ...{ probe: 'tcp', intervalMs: 5_000, timeoutMs: 5_000, path: '/' },
        ...{ unhealthyThreshold: 3, healthyThreshold: 2 },
      },
      upstream: {
        ...{ connectTimeoutMs: 3_000, connackTimeoutMs: 3_000, maxAttempts: 3, deadlineMs: 9_000 },
        ...{ connectRate: 0, connectQueue: 1_000 },
        ...{
          reattachDeadlineMs: 20_000,
          reattachConnackDeadlineMs: 40_000,
          connackDeadlineMs: 120_000,
          silenceTimeoutMs: 5_000,
          silenceDeadlineMs: 180_000,
          takeoverFiresWill: true,
          leavesFirst: false,
          lostLink: 'evidence',
        },
        sourceAddresses: [],
        transparent: false,
        http: (pools[0] as PoolConfig).upstream.http,
        ...{ proxyProtocol: 'none', proxyProtocolFields: allV2Fields },
      },
      nodes: [],
    },
  ],
  rules: [],
  recallTimeoutMs: 50,
  isShared: false,
};
const listener: ListenerSettings = {
  ...{ index: 0, url: 'mqtt://127.0.0.1:0', host: '127.0.0.1', port: 0 },
  ...{ pool: 0, mode: 'relay' },
};

const servers: Server[] = [];
const running: WorkerPool[] = [];
async function endRunning(pools = running.splice(0), nodes = servers.splice(0)): Promise<void> {
  for (const threads of pools) await threads.close();
  for (const server of nodes) server.close();
}
afterEach(() => endRunning());

/** A broker that accepts every device and then says nothing. */
async function startBroker(): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.write(Buffer.of(0x20, 2, 0, 0)));
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

async function startThreads(port = 0, engine: WorkerPoolOptions['engine'] = 'node', index = 0) {
  const memory = createTableMemory(1);
  const table = new TableWriter(openTable(memory, 1));
  const node = { id: 'a', pool: 0, host: '127.0.0.1', weight: 10, enabled: true, usable: true, busy: false };
  table.put({ ...node, serverName: '', maxConnections: 0, connectRate: 0, port: await startBroker() });
  const events: WorkerEvent[] = [];
  const deaths: string[] = [];
  const faults: string[] = [];
  const threads = new BuiltWorkerPool({
    ...{ count: 1, engine, table: memory, maxConnections: settings.limits.maxConnections },
  });
  running.push(threads);
  const [address] = await threads.start([{ ...listener, port, index }], {
    settings,
    onEvents: (batch) => events.push(...batch),
    onFault: (_, { where, message }) => faults.push(`${where}: ${message}`),
    onDeath: (thread, error, _, survivors) => {
      deaths.push(error.message);
      const giveBack = table.releaseThread(thread);
      if (survivors.length === 0) giveBack(1);
      return () => giveBack(1);
    },
    onRefused: () => {},
    onFailing: () => {},
  });
  return { threads, table, events, deaths, faults, port: address?.port ?? 0 };
}

/** What a fault of ours would do to the thread. */
async function kill(threads: WorkerPool): Promise<void> {
  const { worker } = (threads as unknown as { threads: { worker: Worker }[] }).threads[0] ?? {};
  await worker?.terminate();
}

const anyone = { limit: 10 };

describe.each(['node', ...linuxEngines] as const)('%s, one thread for all tests', (engine) => {
  let threads: WorkerPool;
  let table: TableWriter;
  let events: WorkerEvent[];
  let deaths: string[];
  let faults: string[];
  let port: number;
  const types = () => events.map(({ type }) => type);

  beforeAll(async () => {
    ({ threads, table, events, deaths, faults, port } = await startThreads(0, engine));
    const [pools, nodes] = [running.splice(0), servers.splice(0)];
    return () => endRunning(pools, nodes);
  });

  /** Each test begins without a device, and with nothing told. */
  beforeEach(async () => {
    endSockets();
    await until(() => table.devices() === 0, 'the devices of the test before to have left');
    await threads.settled();
    for (const told of [events, deaths, faults]) told.splice(0);
  });

  test('lists the devices that it serves, by client id, by node, by a part of the id, up to a limit', async () => {
    for (const id of ['meter-1', 'meter-2', 'gate-1']) await connectDevice(port, id);
    const list = async (filter: object) => {
      const { clients, total } = await threads.devices.clients({ ...anyone, ...filter });
      return [clients.map(({ clientId }) => clientId).sort(), total];
    };
    expect(await list({})).toEqual([['gate-1', 'meter-1', 'meter-2'], 3]);
    expect(await list({ match: 'meter', limit: 1 })).toEqual([[expect.stringMatching('meter')], 2]);
    expect(await list({ whom: { clientId: 'gate-1' } })).toEqual([['gate-1'], 1]);
    expect(await list({ whom: { clientId: 'gate' } })).toEqual([[], 0]);
    expect(await list({ node: 'a' })).toMatchObject([{ length: 3 }, 3]);
    expect(await list({ node: 'b' })).toEqual([[], 0]);
    expect((await threads.devices.clients({ ...anyone, match: 'meter-1' })).clients).toMatchObject([
      {
        ...{ clientId: 'meter-1', node: 'a', listener: 0, protocolVersion: 4, keepAlive: 60 },
        remoteAddress: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      },
    ]);
  });

  test('kicks the connections of one client id, and says how many there were', async () => {
    const [kicked, other] = [await connectDevice(port, 'meter-1'), await connectDevice(port, 'meter-2')];
    const gone = once(kicked.socket.resume(), 'close');
    expect(await threads.devices.kick({ clientId: 'meter-1' })).toBe(1);
    await gone;
    expect(await threads.devices.kick({ clientId: 'nobody' })).toBe(0);
    await until(() => events.at(-1)?.type === 'ended', 'its end to be told');
    expect([table.liveAt('a'), other.socket.destroyed]).toEqual([1, false]);
    expect(events.at(-1)).toMatchObject({ type: 'ended', clientId: 'meter-1', node: 'a', reason: 'kicked' });
  });

  test('has told everything when it has settled', async () => {
    for (let round = 1; round <= 5; round++) {
      await connectDevice(port, 'meter-1');
      await threads.settled();
      expect(types().filter((type) => type === 'placed')).toHaveLength(round);
      expect(types().filter((type) => type === 'taken-over')).toHaveLength(round - 1);
    }
  });

  test('tells of single devices only while it is wanted; counts them always', async () => {
    const accepted = table.accepted(0);
    threads.setVerbose(false);
    await connectDevice(port, 'meter-1');
    threads.setVerbose(true);
    await connectDevice(port, 'meter-2');
    await until(() => types().includes('placed'), 'a device to be told of');
    expect(types().filter((type) => type === 'placed')).toHaveLength(1);
    expect([table.accepted(0) - accepted, table.devices()]).toEqual([2, 2]);
  });

  test('a device that speaks no MQTT is counted and told of by its reason', async () => {
    const before = table.rejected('not-mqtt');
    openSocket(port).write('GET / HTTP/1.1\r\n\r\n');
    await until(() => events.length > 0, 'the rejection');
    expect(events).toMatchObject([{ type: 'rejected', reason: 'not-mqtt', clientId: undefined }]);
    expect(table.rejected('not-mqtt') - before).toBe(1);
  });

  test('more devices than are allowed are closed at once and counted', async () => {
    const before = table.rejected('max-connections');
    for (let i = 0; i < 101; i++) openSocket(port);
    await until(() => table.rejected('max-connections') === before + 1, 'the last to be closed');
    expect(table.devices()).toBe(100);
  });

  test('an address in use is said before anything else starts', async () => {
    await expect(startThreads(port, engine)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    await running.at(-1)?.close(); // once more does no harm
  });

  test('of several listeners one that cannot be bound has none bound', async () => {
    const free = { ...listener, index: 1, port: await freePort() };
    const taken = { ...listener, index: 2, port };
    await expect(threads.listen([free, taken])).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    await expect(connectDevice(free.port, 'nobody')).rejects.toThrow('ECONNREFUSED');
    await threads.listen([free]);
    expect((await connectDevice(free.port, 'somebody')).code).toBe(0);
    await threads.unlisten([1]);
  });

  test('as many devices leave as are asked to, of those that were there at the begin, and no other', async () => {
    const devices = await Promise.all(clientIds(10).map((clientId) => connectDevice(port, clientId)));
    for (const { socket } of devices) socket.resume();
    const order = { departure: 1, reason: 'proxy-drain', references: [] } as const;
    expect(await threads.devices.dismiss({ ...order, count: 0 })).toEqual({ ended: 0, left: 10 });
    (await connectDevice(port, 'late')).socket.resume();
    expect(await threads.devices.dismiss({ ...order, count: 4 })).toEqual({ ended: 4, left: 6 });
    await until(() => table.devices() === 7, 'four of them to have left');
    await threads.devices.kick({
      clientId: (await threads.devices.clients({ limit: 1 })).clients[0]?.clientId ?? '',
    });
    await until(() => table.devices() === 6, 'one more to have left');
    const rest = await threads.devices.dismiss({ ...order, count: 100 });
    expect(rest.left).toBe(0);
    expect(rest.ended).toBeGreaterThanOrEqual(5); // the kicked one may have been the late one
    await until(() => table.devices() <= 1, 'all but the late one to have left');
    const drained = () => events.filter((event) => event.type === 'ended' && event.reason === 'proxy-drain');
    await until(() => drained().length === 4 + rest.ended, 'their ends to be told');
    expect(await threads.devices.dismiss({ ...order, departure: 2, count: 100 })).toMatchObject({ left: 0 });
    await until(() => table.devices() === 0, 'the late one to have left');
  });

  test('a fault in a command is told, answered, and ends nobody', async () => {
    const { socket } = await connectDevice(port, 'meter-1');
    threads.judge(undefined as never); // no verdict
    await expect(threads.devices.clients(null as never)).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(
      threads.listen([{ ...listener, index: 3, limits: { allow: 1 } as never }]),
    ).rejects.toThrow();
    await until(() => faults.length === 3, 'the faults to be told');
    expect(faults).toMatchObject(
      [/^command verdict: /, /^command clients: /, /^command listen: /].map((like) =>
        expect.stringMatching(like),
      ),
    );
    expect(await threads.devices.clients(anyone)).toMatchObject({ total: 1 });
    expect([deaths, socket.destroyed]).toEqual([[], false]);
  });

  test('a thread that is ended from outside leaves no socket open, of a device or to listen', async () => {
    const { socket } = await connectDevice(port, 'meter-1');
    const gone = once(socket.resume(), 'close');
    await kill(threads);
    await gone;
    // The kernel may close what a ring has open a moment later: then who waits there is reset.
    await expect(connectDevice(port, 'too-early')).rejects.toThrow(/ECONNREFUSED|ECONNRESET/);
    const again = await until(() => connectDevice(port, 'meter-2').catch(() => undefined), 'the restart');
    expect([again.code, table.devices()]).toEqual([0, 1]);
  });

  test('a listener that is bound again at its index still has the devices that it had', async () => {
    const bound = { ...listener, index: 2, port: await freePort() };
    await threads.listen([bound]);
    const { socket } = await connectDevice(bound.port, 'meter-1');
    await threads.unlisten([2]);
    await threads.listen([bound]);
    await connectDevice(bound.port, 'meter-2');
    expect(await threads.devices.clients(anyone)).toMatchObject({ total: 2 });
    const gone = once(socket.resume(), 'close');
    threads.endAt(2, 'listener-removed');
    await gone;
    await until(() => table.devices() === 0, 'all to have left');
    await threads.unlisten([2]);
  });
});

test('a thread that dies gives back what it had counted, and is started again at the same address', async () => {
  const { threads, table, deaths, port } = await startThreads();
  await connectDevice(port, 'meter-1');
  const dying = kill(threads);
  const asked = threads.devices.clients(anyone); // it dies before it has answered
  await Promise.allSettled([dying, asked]);
  await expect(asked).rejects.toMatchObject({ code: 'THREAD_UNAVAILABLE' });
  expect([deaths.length, table.liveAt('a'), table.devices()]).toEqual([1, 0, 0]);
  expect(await threads.devices.clients(anyone)).toEqual({ clients: [], total: 0, behind: 0 });

  const again = await until(() => connectDevice(port, 'meter-2').catch(() => undefined), 'the restart');
  expect(again.code).toBe(0);
  expect([table.liveAt('a'), table.accepted(0)]).toEqual([1, 2]);
});

test('a restart that finds its address taken is tried again until it is free', async () => {
  const { threads, deaths, port } = await startThreads();
  await kill(threads);
  const thief = createServer();
  await once(thief.listen(port, '127.0.0.1'), 'listening');
  await until(() => deaths.some((message) => message.includes('in use')), 'the address to be missed');
  await new Promise((resolve) => thief.close(resolve));
  await until(() => connectDevice(port, 'meter-1').catch(() => undefined), 'the restart');
});

test('a thread that dies while nothing is accepted any more is not started again, and can be closed', async () => {
  const { threads, table, deaths, port } = await startThreads();
  await connectDevice(port, 'meter-1');
  threads.stopAccepting();
  await kill(threads);
  expect([deaths.length, table.devices()]).toEqual([1, 0]);
  await threads.close();
});

test('listeners come and go, and settings change, while devices stay; a thread that starts again has the newest', async () => {
  const { threads, table, events, port } = await startThreads();
  const { socket } = await connectDevice(port, 'stays');
  socket.once('close', () => events.push({ type: 'disowned', pool: '', clientId: 'dropped' }));
  const more = { ...listener, index: 1 };
  const [added] = await threads.listen([more]);
  const visitor = await connectDevice(added?.port ?? 0, 'visitor');
  const gone = once(visitor.socket.resume(), 'close');
  expect(threads.devicesAt(1)).toBe(1);

  const banned: Service['settings'] = { ...settings, rules: [{ when: {}, reject: 'banned' }] };
  await threads.applySettings(banned, [listener, more]);
  expect((await connectDevice(port, 'banned')).code).toBe(5);

  await threads.unlisten([1]);
  await expect(connectDevice(added?.port ?? 0, 'too-late')).rejects.toThrow('ECONNREFUSED');
  threads.endAt(1, 'listener-removed');
  await gone;
  await until(() => threads.devicesAt(1) === 0, 'its index to be free');
  expect(events.some((event) => 'clientId' in event && event.clientId === 'dropped')).toBe(false);

  await kill(threads);
  const again = await until(() => connectDevice(port, 'again').catch(() => undefined), 'the restart');
  expect(again.code).toBe(5);
  await expect(connectDevice(added?.port ?? 0, 'too-late')).rejects.toThrow('ECONNREFUSED');
  expect(table.liveAt('a')).toBe(0);
});

test('a thread that is being started shows the certificate that came meanwhile', async () => {
  const authority = createAuthority('devices');
  const tlsOf = (cn: string) => tlsOptions([authority.issue({ cn })]);
  const { threads } = await startThreads();
  const secure = { ...listener, index: 1, url: 'mqtts://127.0.0.1:0', tls: tlsOf('first') };
  const [bound] = await threads.listen([secure]);
  await kill(threads);
  await until(() => threads.alive.some(({ listens }) => !listens), 'the next thread');
  await threads.updateTls(1, tlsOf('second'));
  await threads.ready();
  const socket = connectTls({ port: bound?.port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  expect(socket.getPeerCertificate().subject.CN).toBe('second');
  socket.destroy();
});

test.runIf(linuxEngines.length > 0)(
  'devices that stand still for another process when their thread dies are its own or go on at the next thread',
  async () => {
    const { threads, deaths, port } = await startThreads(0, 'epoll');
    const devices = [];
    for (const id of clientIds(4)) devices.push(await connectDevice(port, id));
    const [thread] = threads.alive as [WorkerHandle];
    await thread.ask((request) => ({ type: 'hand-over', request, most: 10 }));
    expect(thread.offered).toHaveLength(4);
    const ends: string[] = [];
    for (const { socket, clientId } of devices) socket.resume().once('close', () => ends.push(clientId));
    await kill(threads);
    await until(() => deaths.length === 1, 'its death');
    threads.given(thread, [0, 1, 3]);
    await until(() => ends.length === 1, 'the end of the one that nobody has');
    await threads.ready();
    const list = () => threads.devices.clients(anyone).catch(() => undefined);
    await until(async () => (await list())?.total === 3, 'the others to go on');
    const { clients } = await threads.devices.clients(anyone);
    expect([...ends, ...clients.map(({ clientId }) => clientId)].sort()).toEqual(clientIds(4).sort());
    for (const { clientId } of clients) expect(await threads.devices.kick({ clientId })).toBe(1);
    await until(() => ends.length === 4, 'their end');
  },
);

test('close ends every device, and tells of it before the thread exits', async () => {
  const { threads, table, events, port } = await startThreads();
  const { socket } = await connectDevice(port, 'meter-1');
  socket.resume();
  const gone = once(socket, 'close');
  await threads.close();
  await gone;
  expect(events.at(-1)).toMatchObject({ type: 'ended', clientId: 'meter-1', reason: 'shutdown' });
  expect([table.devices(), table.liveAt('a')]).toEqual([0, 0]);
});

describe.each(['node', ...linuxEngines] as const)('%s', (engine) => {
  test('every command holds where indexes are left out, because other threads have them', async () => {
    const { threads, table, deaths, faults, port } = await startThreads(0, engine, 3);
    const { socket } = await connectDevice(port, 'meter-1');
    const [more] = await threads.listen([{ ...listener, index: 7 }]);
    await connectDevice(more?.port ?? 0, 'meter-2');
    threads.watchNodes();
    threads.supersede(0, { pool: 'default', clientId: 'meter-1', who: 0, sinceMs: 0 });
    threads.recalled(0, 1, 'a');
    expect(await threads.devices.clients(anyone)).toMatchObject({ total: 2 });
    const stuck = { moving: 0, later: 0, stuck: 2, ended: 0, noNode: 0 };
    expect(await threads.devices.moveSome('a', 10, 'drain')).toEqual(stuck);
    expect(await threads.devices.move({ clientId: 'meter-1' }, 'b')).toMatchObject({ stuck: 1 });
    await threads.applySettings(settings, [
      { ...listener, index: 3 },
      { ...listener, index: 7 },
    ]);
    threads.endAt(5, 'listener-removed'); // another thread's
    expect(await threads.devices.kick({ clientId: 'meter-2' })).toBe(1);
    expect(socket.destroyed).toBe(false);
    await threads.unlisten([3]);
    const gone = once(socket.resume(), 'close');
    threads.endAt(3, 'listener-removed');
    await gone;
    await until(() => table.devices() === 0, 'all to have left');
    expect([deaths, faults]).toEqual([[], []]);
  });
});

/** Descriptors that wake threads up. */
function wakeDescriptors(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('eventfd');
    } catch {
      return false; // it was the one that read the folder
    }
  }).length;
}

test.skipIf(process.platform !== 'linux')(
  'a closing thread can be woken to its end, and leaves nothing behind',
  async () => {
    const before = wakeDescriptors();
    const { threads } = await startThreads(0, 'epoll');
    const [thread] = (threads as unknown as { threads: WorkerHandle[] }).threads;
    thread?.tell({ type: 'close' });
    while ((await settled(thread?.exited)) === 'not yet') thread?.tell({ type: 'verbose', on: true });
    expect(wakeDescriptors()).toBe(before);
  },
);

/** Looks without waiting for more than the present batch of events. */
function settled(promise: Promise<unknown> | undefined): Promise<unknown> {
  return Promise.race([promise, new Promise((resolve) => setImmediate(() => resolve('not yet')))]);
}
