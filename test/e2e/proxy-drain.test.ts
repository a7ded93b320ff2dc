import { once } from 'node:events';
import { beforeAll, expect, test } from 'vitest';
import type { ProxyView } from '../../src/admin/backend.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { run } from '../support/cli.ts';
import { startProxy } from '../support/cluster.ts';
import { connectDevice } from '../support/devices.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { atEnd } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** Two proxies of one cluster, and devices that come back through whichever is ready and has fewer. The tests build on each other. */
const DEVICES = 60;
const proxies = new Map<string, Breakwater>();
const ready = new Map<string, boolean>();
const at = new Map<string, string>();
let ended = 0;

const proxy = (id: string) => proxies.get(id) as Breakwater;
const countAt = (id: string) => [...at.values()].filter((each) => each === id).length;
const views = (id: string) => proxy(id).api<ProxyView[]>('proxies');
const cli = (id: string, ...args: string[]) => run([...args, '--admin', proxy(id).adminUrl]);
const told = (id: string, msg: string) =>
  proxy(id)
    .logs()
    .filter((line) => line.msg === msg);

/** What a balancer with health checks does. */
function chosen(): string {
  const open = [...proxies.keys()].filter((id) => ready.get(id));
  return open.sort((a, b) => countAt(a) - countAt(b))[0] ?? 'p1';
}

async function look(): Promise<void> {
  for (const [id, { adminUrl }] of proxies) {
    const answer = await fetch(`${adminUrl}/readyz`).catch(() => undefined);
    ready.set(id, answer?.status === 200);
  }
}

/** Connects, and again whenever its connection ends. */
async function live(clientId: string): Promise<void> {
  for (;;) {
    const id = chosen();
    at.set(clientId, id);
    const device = await connectDevice(proxy(id).port, clientId).catch(() => undefined);
    if (device === undefined) continue;
    await once(device.socket.resume(), 'close');
    at.delete(clientId);
    ended++;
    await look();
  }
}

beforeAll(async () => {
  const [redis, broker] = await Promise.all([startRedis(), startMosquitto()]);
  for (const id of ['p1', 'p2']) {
    const listeners = [{ url: 'mqtt://127.0.0.1:0', advertise: `${id}.example.com:1883` }];
    proxies.set(
      id,
      await startProxy(redis, id, { listeners, pools: { default: { nodes: [{ url: broker.url }] } } }),
    );
  }
  await until(
    async () => (await Promise.all([...proxies.keys()].map(views))).every((all) => all.length === 2),
    'both to know of each other',
  );
  await until(async () => {
    await look();
    return ready.get('p1') && ready.get('p2');
  }, 'both to be ready');
  for (let i = 0; i < DEVICES; i++) void live(`device-${i}`);
  const looks = setInterval(() => void look(), 100);
  atEnd(() => clearInterval(looks));
  await until(
    async () => (await views('p1')).every(({ connections }) => connections === DEVICES / 2),
    'all to be connected',
  );
});

test('`proxy drain` takes a proxy out, asked of another one: it is not ready, its devices leave, its listener stays open', async () => {
  const five = await connectDevice(proxy('p1').port, 'five', { protocolVersion: 5 });
  const said = once(five.socket, 'data');
  const done = await cli('p2', 'proxy', 'drain', 'p1', '--rate', '50', '--delay', '0');
  expect(done.stderr).toBe('');
  expect(done.stdout).toContain(`proxy p1 is out; devices that left: ${DEVICES / 2 + 1}`);
  expect(done.stdout).toMatch(/^\[[#-]+\] +\d+% {2}moved/m);
  expect(done.code).toBe(0);
  const reference = 'p2.example.com:1883';
  const properties = [0x1c, 0, reference.length, ...Buffer.from(reference)];
  expect([...(await said)[0]]).toEqual([0xe0, properties.length + 2, 0x9c, properties.length, ...properties]);

  const readyz = await fetch(`${proxy('p1').adminUrl}/readyz`);
  expect(await readyz.json()).toEqual({ ready: false, reason: 'the proxy is drained' });
  await until(() => countAt('p2') === DEVICES, 'all to be at the other one');
  expect(ended).toBe(DEVICES / 2); // each was disconnected once
  await until(
    async () => (await views('p2')).find(({ id }) => id === 'p1')?.state === 'draining',
    'its record to say so',
  );
  const late = await connectDevice(proxy('p1').port, 'late');
  expect(late.code).toBe(0);
  late.socket.destroy();
  expect(told('p1', 'devices have left the proxy')).toHaveLength(1);
  expect((await cli('p1', 'status')).stdout).toContain('breakwater proxy enable p1');
  const metrics = await (await fetch(`${proxy('p1').adminUrl}/metrics`)).text();
  expect(metrics).toContain('breakwater_proxy_draining 1');
  expect(metrics).toContain(`breakwater_device_disconnects_total{cause="proxy-drain"} ${DEVICES / 2 + 1}`);
});

test('`proxy enable` takes it in again, and `proxy rebalance` evens devices out, at most those above the mean', async () => {
  expect(await cli('p2', 'proxy', 'enable', 'p1')).toMatchObject({
    code: 0,
    stdout: 'proxy p1 is enabled\n',
  });
  await until(() => ready.get('p1'), 'it to be ready');
  await until(
    async () => (await views('p2')).every(({ state }) => state === 'enabled'),
    'its record to say so',
  );
  const before = ended;
  const done = await cli('p1', 'proxy', 'rebalance', '--rate', '100');
  expect(done).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^p1, p2 are even; devices that left: \d+/m),
  });
  expect(ended - before).toBeLessThanOrEqual(DEVICES / 2);
  expect(Math.abs(countAt('p1') - countAt('p2'))).toBeLessThanOrEqual(DEVICES / 2 / 10 + 1);
  expect(told('p1', 'proxies rebalanced')).toHaveLength(1);
  // Where all is even nobody has to leave.
  const again = await cli('p2', 'proxy', 'rebalance', '--json');
  expect(JSON.parse(again.stdout)).toMatchObject({ state: 'done', moved: 0 });
});

test('what cannot be is said', async () => {
  expect(await cli('p1', 'proxy', 'drain', 'p3')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no proxy "p3" lives'),
  });
  await proxy('p2').stop();
  expect(told('p2', 'stopping')).toMatchObject([{ accepts: false }]); // p1 takes devices
  await until(async () => (await views('p1')).length === 1, 'it to be alone');
  expect(await cli('p1', 'proxy', 'rebalance')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no other proxy of this cluster'),
  });
  expect(await cli('p1', 'proxy', 'drain', '--if-others')).toMatchObject({
    code: 0,
    stdout: 'proxy p1 is not drained: no other proxy of the cluster takes devices\n',
  });
});
