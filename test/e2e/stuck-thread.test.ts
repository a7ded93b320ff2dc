import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { generate } from 'mqtt-packet';
import { expect, test } from 'vitest';
import type { ClientView } from '../../src/admin/backend.ts';
import { startAedes } from '../support/aedes.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';
import { temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

const HOOK = resolve('test/support/stuck-thread.mjs');

test('a data thread that does not come back is seen: in the log with its connection, in readyz, and as the longest turn', async () => {
  const [node] = await startAedes(1);
  const STICK_UNTIL = join(temporaryDirectory(), 'go-on');
  const breakwater = await startBreakwater(
    { proxy: { engine: 'epoll', threads: 1 }, pools: { default: { nodes: [{ url: node?.url }] } } },
    [],
    { NODE_OPTIONS: `--import=${HOOK}`, STICK_UNTIL },
  );
  const readyz = async () => {
    const response = await fetch(`${breakwater.adminUrl}/readyz`);
    return { status: response.status, ...((await response.json()) as object) };
  };
  const longestSeconds = async () => {
    const metrics = await (await fetch(`${breakwater.adminUrl}/metrics`)).text();
    return Number(/^breakwater_turn_seconds_max\{thread="0"\} (\S+)$/m.exec(metrics)?.[1]);
  };
  const told = (msg: string) => breakwater.logs().filter((line) => line.msg === msg);

  const { socket } = await connectDevice(breakwater.port, 'meter-1');
  await until(async () => (await readyz()).status === 200, 'the proxy to be ready');
  const { clients } = await breakwater.api<{ clients: ClientView[] }>('clients');
  expect(clients).toMatchObject([{ clientId: 'meter-1' }]);
  expect(await longestSeconds()).toBeLessThan(60);

  socket.write(generate({ cmd: 'publish', topic: 'stick', payload: '', qos: 0, dup: false, retain: false }));
  await until(async () => (await readyz()).status === 503, 'readyz to tell');
  expect(await readyz()).toEqual({ status: 503, ready: false, reason: 'data thread 0 does not answer' });
  await until(() => told('a data thread does not answer').length > 0, 'the log to tell');
  expect(told('a data thread does not answer')).toMatchObject([
    { level: 'error', thread: 0, connection: clients[0]?.connection },
  ]);
  expect(await longestSeconds()).toBeGreaterThan(1);
  expect(await breakwater.api('status')).toMatchObject({ silentThreads: [0], ready: false });

  writeFileSync(STICK_UNTIL, '');
  await until(async () => (await readyz()).status === 200, 'the thread to answer again');
  await until(() => told('a data thread answers again').length > 0, 'the log to tell');
  expect(told('a data thread answers again')).toMatchObject([{ level: 'warn', thread: 0 }]);
  expect(await longestSeconds()).toBeGreaterThan(1);
});
