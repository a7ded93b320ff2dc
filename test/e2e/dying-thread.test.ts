import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds, connectDevice, connectDevices } from '../support/devices.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

const logged = ({ logs }: Breakwater, msg: string) => logs().filter((line) => line.msg === msg);
const DIED = 'data thread died; starting it again';
const FAILS = 'data thread dies again and again: the proxy is not ready';

test('a thread that dies again and again makes the proxy not ready, and that is told everywhere', async () => {
  const [node] = await startAedes(1);
  const breakwater = await startBreakwater(
    { proxy: { threads: 1 }, pools: { default: { nodes: [{ url: node?.url }] } } },
    [],
    { BREAKWATER_TEST_FAULTS: '1' },
  );
  const readyz = async () =>
    (await (await fetch(`${breakwater.adminUrl}/readyz`)).json()) as { ready: boolean };
  const served = () => connectDevice(breakwater.port, 'meter-1').catch(() => undefined);
  await until(async () => (await readyz()).ready, 'the proxy to be ready');
  for (let death = 1; death <= 3; death++) {
    await until(served, 'the thread to serve');
    expect(logged(breakwater, FAILS)).toEqual([]);
    breakwater.kill('SIGPWR');
    await until(() => logged(breakwater, DIED).length === death, 'its death');
  }
  expect(logged(breakwater, DIED).map(({ deaths }) => deaths)).toEqual([1, 2, 3]);
  await until(() => logged(breakwater, FAILS).length > 0, 'that to be told too');
  expect(logged(breakwater, FAILS)).toMatchObject([{ level: 'error', thread: 0 }]);

  await until(served, 'the thread to serve again'); // it is tried, and serves who comes
  expect(await readyz()).toEqual({ ready: false, reason: 'data thread 0 dies again and again' });
  expect(await breakwater.api('status')).toMatchObject({ failingThreads: [0], ready: false });
  const metrics = await (await fetch(`${breakwater.adminUrl}/metrics`)).text();
  expect(metrics).toContain('breakwater_threads_failing 1');
  expect(metrics).toContain('breakwater_thread_deaths_total 3');
  const { events } = await breakwater.api<{ events: object[] }>(
    'events?since=2000-01-01T00:00:00Z&kind=thread',
  );
  expect(events).toContainEqual(expect.objectContaining({ type: 'thread', thread: 0, state: 'failing' }));
  const { incidents } = await breakwater.api<{ incidents: object[] }>('incidents?kind=thread-failing');
  expect(incidents).toMatchObject([{ kind: 'thread-failing', subject: '0' }]);
});

test.each([
  fastestEngine,
  'node',
] as const)('%s: a thread that can say nothing any more is ended, and its devices end one after the other', async (engine) => {
  const [node] = await startAedes(1);
  const DIE_AT = join(temporaryDirectory(), 'die');
  const NODE_OPTIONS = `--import=${resolve('test/support/dying-thread.mjs')}`;
  const breakwater = await startBreakwater(
    { proxy: { threads: 1, engine }, pools: { default: { nodes: [{ url: node?.url }] } } },
    [],
    { NODE_OPTIONS, DIE_AT, BREAKWATER_TEST_FAULTS: '1' },
  );
  const devices = await connectDevices(breakwater.port, clientIds(50));
  const ends: number[] = [];
  const gone = devices.map(async ({ socket }) => {
    await once(socket.resume(), 'close');
    ends.push(Math.round(performance.now() / 20));
  });
  // With Node's own sockets all end with the thread, also where that does little but fail.
  if (engine !== 'node') breakwater.kill('SIGPWR');
  else writeFileSync(DIE_AT, 'reject');
  await Promise.all(gone);
  await until(() => logged(breakwater, DIED).length === 1, 'its death to be told');
  if (engine !== 'node') expect(new Set(ends).size).toBeGreaterThanOrEqual(5);
  else expect(logged(breakwater, 'a thread failed').length).toBeGreaterThan(10);
  await until(
    () => connectDevice(breakwater.port, 'meter-1').catch(() => undefined),
    'the thread to serve again',
  );
});
