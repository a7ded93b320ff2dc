import { expect, test } from 'vitest';
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

const ids = clientIds(20, 'resting');

/** Two nodes, of which the proxies know the first. */
function startNodes(): Promise<[Mosquitto, Mosquitto]> {
  return Promise.all([startMosquitto(), startMosquitto()]);
}

function poolOf([{ url }]: readonly [Mosquitto, Mosquitto]): object {
  return { default: { nodes: [{ id: 'node-0', url }] } };
}

/**
 * The sessions at the first node: subscribed, changed by another connection, and resumed by a third one.
 * @param kept resolves when what connections have left can be given to the next ones. A device that comes back twice, each time through
 *   another proxy, before the first of them has said so is not remembered.
 */
async function resume(
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
async function untilKept(url: string): Promise<void> {
  const { session } = redisKeys('default', '');
  const isKept = async (clientId: string) =>
    (await redisCommand(url, 'HEXISTS', session({ pool: 'default', clientId }), 'text')) === 1;
  await until(
    async () => (await Promise.all(ids.map(isKept))).every((isThere) => isThere),
    'Redis to have what each has left',
  );
}

/** What `survive` publishes to. */
function filtersOf({ clientId }: PersistentDevice): string[] {
  return [`to/${clientId}`, `+/also/${clientId}/#`];
}

/** The first node dies: each device hears what it is subscribed to, once, and nothing else. */
async function survive(
  breakwater: Breakwater,
  [lost, survivor]: readonly [Mosquitto, Mosquitto],
  devices: readonly PersistentDevice[],
): Promise<void> {
  const known = async (id: string) =>
    (await breakwater.api<ClientDetail>(`clients/${id}`)).session?.subscriptions === 2;
  await until(
    async () => (await Promise.all(ids.map(known))).every((isKnown) => isKnown),
    'what is remembered of each',
  );
  await breakwater.api('nodes', { method: 'POST', body: { id: 'node-1', url: survivor.url } });
  const { tell, wills } = await watcher(survivor);
  lost.kill('SIGKILL');
  const moved = () => breakwater.logs().filter(({ msg }) => msg === 'session moved').length;
  await until(
    () => moved() === ids.length || devices.some(({ isClosed }) => isClosed),
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

test.concurrent.each([
  [4, 'auto'],
  [5, 'auto'],
  [4, 'node'],
  [5, 'node'],
] as const)('MQTT %i (engine %s): devices that were here before stay when their node dies', async (version, engine) => {
  const nodes = await startNodes();
  const breakwater = await startBreakwater({ proxy: { engine }, pools: poolOf(nodes) });
  const { port } = breakwater;
  await survive(breakwater, nodes, await resume([port, port, port], version));
});

test.concurrent.each([
  [4, 'auto', {}],
  [5, 'node', { secret: 'a secret of this cluster' }],
] as const)('MQTT %i (engine %s): also devices that come back through another proxy', async (version, engine, signing) => {
  const [redis, nodes] = await Promise.all([startRedis(), startNodes()]);
  const membership = { store: 'redis', url: redis.url, ...signing };
  const start = () => startBreakwater({ membership, proxy: { engine }, pools: poolOf(nodes) });
  const [one, two] = await Promise.all([start(), start()]);
  const devices = await resume([one.port, two.port, one.port], version, () => untilKept(redis.url));
  await survive(one, nodes, devices);
});

test.concurrent('a proxy that is stopped leaves what its devices had subscribed to the next one', async () => {
  const [redis, nodes] = await Promise.all([startRedis(), startNodes()]);
  const membership = { store: 'redis', url: redis.url };
  const start = () => startBreakwater({ membership, limits: { shutdownGrace: 0 }, pools: poolOf(nodes) });
  const [one, two] = await Promise.all([start(), start()]);
  const devices = await connectAll(one.port, 4, ids, false);
  await answered(devices, (device) => device.subscribe(...filtersOf(device)));
  await one.stop();
  await survive(two, nodes, await connectAll(two.port, 4, ids, true));
});

test.concurrent('a device that takes its own session over, without having left, is known too', async () => {
  const nodes = await startNodes();
  const breakwater = await startBreakwater({ pools: poolOf(nodes) });
  const { port } = breakwater;
  const before = await connectAll(port, 5, ids, false);
  await answered(before, (device) => device.subscribe(...filtersOf(device)));
  await survive(breakwater, nodes, await connectAll(port, 5, ids, true));
  expect(before.every(({ isClosed }) => isClosed)).toBe(true);
});

test.concurrent('a drain waits for what is remembered of devices that have just come back', async () => {
  const nodes = await startNodes();
  const breakwater = await startBreakwater({ pools: poolOf(nodes) });
  const { port } = breakwater;
  const before = await connectAll(port, 5, ids, false);
  await answered(before, (device) => device.subscribe(...filtersOf(device)));
  await leaveAll(before);
  const devices = await connectAll(port, 5, ids, true);
  await breakwater.api('nodes', { method: 'POST', body: { id: 'node-1', url: nodes[1].url } });
  await breakwater.api('nodes/node-0/drain', { method: 'POST' });
  const moved = () => breakwater.logs().filter(({ msg }) => msg === 'session moved').length;
  await until(
    () => moved() === ids.length || devices.some(({ isClosed }) => isClosed),
    'the sessions at the other node',
  );
  expect(devices.filter(({ isClosed }) => isClosed).map(({ clientId }) => clientId)).toEqual([]);
  const { tell } = await watcher(nodes[1]);
  for (const id of ids) tell(`to/${id}`, 'hello');
  await until(() => devices.every(({ messages }) => messages.length === 1), 'each message');
});
