import { expect, test } from 'vitest';
import { perform } from '../../bench/failover/performance.ts';
import { Stage } from '../../bench/failover/stage.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { main } from '../support/cli.ts';
import { nodeOf } from '../support/cluster.ts';
import { clientIds, connectDevices } from '../support/devices.ts';
import { atEnd } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** A cluster that behaves as EMQX does, with its waits and ours made shorter by the same factor. */
const upstream = (scale: number) => ({
  ...{ takeoverFiresWill: false, silenceTimeout: 2 },
  ...{ reattachConnackDeadline: 40 * scale, silenceDeadline: 180 * scale },
});

test.each([
  [20, 0.2],
  [90, 0.1],
])('a node hangs for what is %d s at the true waits: nobody notices, no Will fires, nothing is lost or comes twice', async (seconds, timeScale) => {
  const report = await perform({
    ...{ main, brokers: 'emqx', fault: 'hang', front: 'breakwater', engine: 'auto', timeScale },
    ...{ devices: 300, rate: 200, clean: false, calmMs: 1_000, hangMs: seconds * 1000 * timeScale },
    pool: { upstream: upstream(timeScale) },
  });
  expect(report).toMatchObject({
    disconnects: 0,
    unacknowledged: 0,
    violations: [],
    wills: [],
    examples: [],
  });
  expect(report).toMatchObject({ lost: { qos1: 0, qos2: 0 }, outOfOrder: { qos0: 0, qos1: 0, qos2: 0 } });
  expect(report.duplicates.qos2).toBe(0);
  expect(report.affected).toBeGreaterThanOrEqual(100);
  expect(report.moves).toMatchObject({ failed: 0 });
});

test('where a takeover publishes the Will (EMQX from 5.6 on), a hang fires none', async () => {
  const [seconds, timeScale] = [20, 0.2];
  const report = await perform({
    ...{ main, brokers: 'emqx', emqxVersion: '5.6', fault: 'hang', front: 'breakwater', engine: 'auto' },
    ...{
      timeScale,
      devices: 300,
      rate: 200,
      clean: false,
      calmMs: 1_000,
      hangMs: seconds * 1000 * timeScale,
    },
    pool: { upstream: { ...upstream(timeScale), takeoverFiresWill: true } },
  });
  expect(report).toMatchObject({
    disconnects: 0,
    unacknowledged: 0,
    violations: [],
    examples: [],
    wills: [],
  });
  expect(report).toMatchObject({ lost: { qos1: 0, qos2: 0 }, duplicates: { qos2: 0 } });
  expect(report.affected).toBeGreaterThanOrEqual(100);
});

interface Clients {
  readonly clients: readonly { readonly clientId: string; readonly node: string }[];
}

test('devices that connect while a node hangs are let in as late as without a proxy, and no living node is blamed', async () => {
  const stage = new Stage(main);
  atEnd(() => stage.strike());
  const nodes = await stage.emqx(['a', 'b', 'c'], { EMQX_TIME_SCALE: '0.1' });
  const proxy = await startBreakwater({
    pools: {
      default: {
        nodes: nodes.map(({ id, url }) => ({ id, url })),
        upstream: { ...upstream(0.1), connackTimeout: 1 },
      },
    },
  });
  const before = await connectDevices(proxy.port, clientIds(120, 'restarts'));
  const { clients } = await proxy.api<Clients>('clients?limit=1000');
  const ofNode = new Set(clients.filter(({ node }) => node === 'a').map(({ clientId }) => clientId));
  expect(ofNode.size).toBeGreaterThan(30);
  nodes[0]?.signal('SIGSTOP');
  for (const { clientId, socket } of before) if (ofNode.has(clientId)) socket.destroy();
  const [again, fresh] = await Promise.all([
    connectDevices(proxy.port, [...ofNode]),
    connectDevices(proxy.port, clientIds(20, 'new')),
  ]);
  expect([...again, ...fresh].filter(({ code }) => code !== 0)).toEqual([]);
  for (const id of ['b', 'c']) expect(await nodeOf(proxy, id)).toMatchObject({ health: 'healthy' });
  nodes[0]?.signal('SIGCONT');
  await until(async () => (await nodeOf(proxy, 'a')).health === 'healthy', 'the node to be healthy again');
  const lived = before.filter(({ clientId }) => !ofNode.has(clientId));
  const all = [...lived, ...again, ...fresh];
  const answered = all.map(
    ({ socket }) =>
      new Promise((resolve) => socket.once('data', resolve).once('close', () => resolve('closed'))),
  );
  for (const { socket } of all) socket.write(Uint8Array.of(0xc0, 0));
  expect((await Promise.all(answered)).filter((answer) => answer === 'closed')).toEqual([]);
});
