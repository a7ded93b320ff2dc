import { beforeAll, describe, expect, test } from 'vitest';
import type { ClientDetail } from '../../src/admin/backend.ts';
import { redisKeys } from '../../src/membership/store/redis-keys.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import {
  answered,
  connectAll,
  leaveAll,
  type PersistentDevice,
  type Version,
  watcher,
} from '../support/persistent-devices.ts';
import { redisCommand, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

// Persistent sessions that are older than their connections, at brokers that share nothing. What their devices had
// subscribed is remembered from the connections before: their node dies, and no device notices.

/** A pool of two nodes, of which the proxies know the first, and the devices that are its own. */
interface Scene {
  readonly pool: string;
  readonly nodes: readonly [Mosquitto, Mosquitto];
  readonly ids: readonly string[];
  /** Of its listener at each proxy. */
  readonly ports: readonly number[];
}

interface Stage {
  readonly proxies: readonly Breakwater[];
  scene(pool: string): Scene;
}

/** @param proxies what the configuration of each says besides */
async function startStage(names: readonly string[], proxies: readonly object[]): Promise<Stage> {
  const pools = await Promise.all(
    names.map(async (pool) => ({ pool, nodes: await Promise.all([startMosquitto(), startMosquitto()]) })),
  );
  const shared = {
    listeners: names.map((pool) => ({ url: 'mqtt://127.0.0.1:0', pool })),
    pools: Object.fromEntries(
      pools.map(({ pool, nodes: [{ url }] }) => [pool, { nodes: [{ id: `${pool}-0`, url }] }]),
    ),
  };
  const started = await Promise.all(proxies.map((own) => startBreakwater({ ...shared, ...own })));
  const scenes = pools.map(({ pool, nodes }, i): Scene => {
    return { pool, nodes, ids: clientIds(20, pool), ports: started.map(({ ports }) => ports[i] as number) };
  });
  return { proxies: started, scene: (pool) => scenes.find((each) => each.pool === pool) as Scene };
}

/**
 * The sessions at the first node: subscribed, changed by another connection, and resumed by a third one.
 * @param kept resolves when what connections have left can be given to the next ones. A device that comes back twice, each time through
 *   another proxy, before the first of them has said so is not remembered.
 */
async function resume(
  { ids }: Scene,
  ports: readonly [number, number, number],
  version: Version,
  kept = async () => {},
): Promise<PersistentDevice[]> {
  const first = await connectAll(ports[0], version, ids, false);
  await answered(first, (device) => device.subscribe(`to/${device.clientId}`, `old/${device.clientId}`));
  await leaveAll(first);
  await kept();
  const second = await connectAll(ports[1], version, ids, true);
  await answered(second, (device) => device.unsubscribe(`old/${device.clientId}`));
  await answered(second, (device) => device.subscribe(`+/also/${device.clientId}/#`));
  await leaveAll(second);
  await kept();
  return connectAll(ports[2], version, ids, true);
}

/** Redis has what each connection has left. */
async function untilKept(url: string, { pool, ids }: Scene): Promise<void> {
  const { session } = redisKeys('default', '');
  const isKept = async (clientId: string) =>
    (await redisCommand(url, 'HEXISTS', session({ pool, clientId }), 'text')) === 1;
  await until(
    async () => (await Promise.all(ids.map(isKept))).every((isThere) => isThere),
    'Redis to have what each has left',
  );
}

/** What `survive` publishes to. */
function filtersOf({ clientId }: PersistentDevice): string[] {
  return [`to/${clientId}`, `+/also/${clientId}/#`];
}

async function addNode(breakwater: Breakwater, pool: string, { url }: Mosquitto): Promise<void> {
  await breakwater.api('nodes', { method: 'POST', body: { id: `${pool}-1`, pool, url } });
}

/** How many of these sessions this proxy has moved. */
function moved(breakwater: Breakwater, ids: readonly string[]): number {
  const own = new Set<unknown>(ids);
  return breakwater.logs().filter(({ msg, clientId }) => msg === 'session moved' && own.has(clientId)).length;
}

/** The first node dies: each device hears what it is subscribed to, once, and nothing else. */
async function survive(
  breakwater: Breakwater,
  { pool, nodes: [lost, survivor], ids }: Scene,
  devices: readonly PersistentDevice[],
): Promise<void> {
  const known = async (id: string) =>
    (await breakwater.api<ClientDetail>(`clients/${id}`)).session?.subscriptions === 2;
  await until(
    async () => (await Promise.all(ids.map(known))).every((isKnown) => isKnown),
    'what is remembered of each',
  );
  await addNode(breakwater, pool, survivor);
  const { tell, wills } = await watcher(survivor);
  lost.kill('SIGKILL');
  await until(
    () => moved(breakwater, ids) === ids.length || devices.some(({ isClosed }) => isClosed),
    'the sessions at the other node',
  );
  for (const id of ids) {
    tell(`old/${id}`, 'unwanted');
    tell(`to/${id}`, 'hello');
    tell(`x/also/${id}/y`, 'and this');
  }
  await until(
    () => devices.every(({ messages, isClosed }) => messages.length >= 2 || isClosed),
    'each message',
  );
  expect(devices.map(({ messages, isClosed }) => [messages, isClosed])).toEqual(
    ids.map(() => [['hello', 'and this'], false]),
  );
  expect(wills).toEqual([]);
}

describe.each(['auto', 'node'])('at one proxy (engine %s)', (engine) => {
  let stage: Stage;
  let proxy: Breakwater;
  beforeAll(async () => {
    stage = await startStage(['v4', 'v5', 'taken-over', 'drained'], [{ proxy: { engine } }]);
    [proxy] = stage.proxies as [Breakwater];
  });

  test.concurrent.each([
    4, 5,
  ] as const)('MQTT %i: devices that were here before stay when their node dies', async (version) => {
    const scene = stage.scene(`v${version}`);
    const [port] = scene.ports as [number];
    await survive(proxy, scene, await resume(scene, [port, port, port], version));
  });

  test.concurrent('a device that takes its own session over, without having left, is known too', async () => {
    const scene = stage.scene('taken-over');
    const [port] = scene.ports as [number];
    const before = await connectAll(port, 5, scene.ids, false);
    await answered(before, (device) => device.subscribe(...filtersOf(device)));
    await survive(proxy, scene, await connectAll(port, 5, scene.ids, true));
    expect(before.every(({ isClosed }) => isClosed)).toBe(true);
  });

  test.concurrent('a drain waits for what is remembered of devices that have just come back', async () => {
    const { pool, nodes, ids, ports } = stage.scene('drained');
    const [port] = ports as [number];
    const before = await connectAll(port, 5, ids, false);
    await answered(before, (device) => device.subscribe(...filtersOf(device)));
    await leaveAll(before);
    const devices = await connectAll(port, 5, ids, true);
    await addNode(proxy, pool, nodes[1]);
    await proxy.api(`nodes/${pool}-0/drain`, { method: 'POST' });
    await until(
      () => moved(proxy, ids) === ids.length || devices.some(({ isClosed }) => isClosed),
      'the sessions at the other node',
    );
    expect(devices.filter(({ isClosed }) => isClosed).map(({ clientId }) => clientId)).toEqual([]);
    const { tell } = await watcher(nodes[1]);
    for (const id of ids) tell(`to/${id}`, 'hello');
    await until(() => devices.every(({ messages }) => messages.length === 1), 'each message');
  });
});

describe('at two proxies that share a Redis', () => {
  let stage: Stage;
  let url: string;
  beforeAll(async () => {
    ({ url } = await startRedis());
    const membership = { store: 'redis', url, secret: 'a secret of this cluster' };
    const own = { membership, limits: { shutdownGrace: 0 } };
    const proxies = ['auto', 'node'].map((engine) => ({ ...own, proxy: { engine } }));
    stage = await startStage(['v4', 'v5', 'left'], proxies);
  });

  test.each([
    [4, 0, 1],
    [5, 1, 0],
  ] as const)('MQTT %i: also devices that come back through the other stay', async (version, home, other) => {
    const scene = stage.scene(`v${version}`);
    const [here, there] = [scene.ports[home], scene.ports[other]] as [number, number];
    const devices = await resume(scene, [here, there, here], version, () => untilKept(url, scene));
    await survive(stage.proxies[home] as Breakwater, scene, devices);
  });

  test('one that is stopped, last of all, leaves what its devices had subscribed to the other', async () => {
    const scene = stage.scene('left');
    const [[one, two], ports] = [stage.proxies, scene.ports] as [[Breakwater, Breakwater], [number, number]];
    const devices = await connectAll(ports[0], 4, scene.ids, false);
    await answered(devices, (device) => device.subscribe(...filtersOf(device)));
    await one.stop();
    await survive(two, scene, await connectAll(ports[1], 4, scene.ids, true));
  });
});
