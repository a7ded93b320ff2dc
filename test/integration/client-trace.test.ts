import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, expect, test } from 'vitest';
import type { Breakwater } from '../support/breakwater.ts';
import { adopt } from '../support/children.ts';
import { main, run } from '../support/cli.ts';
import { startProxy } from '../support/cluster.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { startRedis } from '../support/redis.ts';
import { talk } from '../support/talker.ts';
import { until } from '../support/wait.ts';

/** `breakwater client trace`: a device is at one proxy, and another one is asked. */

let here: Breakwater;
let there: Breakwater;

beforeAll(async () => {
  const [redis, broker] = await Promise.all([startRedis(), startMosquitto()]);
  const listeners = [{ url: 'mqtt://127.0.0.1:0' }, { url: 'mqtt://127.0.0.1:0', mode: 'relay' }];
  const pools = { default: { nodes: [{ id: 'a', url: broker.url }] } };
  const admin = { url: 'http://127.0.0.1:0', tracePayloads: true };
  [there, here] = await Promise.all([
    startProxy(redis, 'there', { listeners, pools, admin }),
    startProxy(redis, 'here', { listeners, pools }),
  ]);
  await until(
    async () => (await run(['proxy', 'list', '--admin', here.adminUrl])).stdout.includes('there'),
    'both',
  );
});

interface Tracing {
  readonly child: ChildProcess;
  lines(): readonly Record<string, unknown>[];
}

function startTrace(...args: string[]): Tracing {
  const child = adopt(
    spawn(process.execPath, [main, 'client', 'trace', ...args, '--json', '--admin', here.adminUrl]),
  );
  let text = '';
  child.stdout?.on('data', (bytes) => {
    text += bytes;
  });
  const lines = () =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  return { child, lines };
}

test('the packets of one device pass by, both ways, at whichever proxy it is, until it leaves', async () => {
  const device = talk(there.port, { clientId: 'traced' });
  const other = talk(there.port, { clientId: 'other' });
  await Promise.all([device.code(), other.code()]);
  const { child, lines } = startTrace('traced', '--payload');
  const exit = once(child, 'exit');
  await until(() => lines().length > 0, 'the trace to begin');
  expect(lines()[0]).toMatchObject({ event: 'client', clientId: 'traced', proxy: 'there', node: 'a' });
  other.say({ cmd: 'publish', topic: 'not/this', payload: 'x', qos: 0, dup: false, retain: false });
  device.say({
    cmd: 'publish',
    topic: 'meters/17',
    payload: 'warm',
    qos: 1,
    messageId: 7,
    dup: false,
    retain: false,
  });
  await until(() => lines().length >= 3, 'PUBLISH and PUBACK');
  device.vanish();
  expect(await exit).toEqual([0, null]);
  const payload = Buffer.from('warm').toString('base64');
  expect(lines().slice(1)).toMatchObject([
    { event: 'packet', direction: 'from-device', type: 'publish', topic: 'meters/17', id: 7, payload },
    { event: 'packet', direction: 'to-device', type: 'puback', id: 7 },
    { event: 'end', reason: 'the device has left' },
  ]);
  expect(JSON.stringify(lines())).not.toContain('not/this');
});

test('what cannot be traced is refused, with the reason; payloads are by the word of the proxy that has the device', async () => {
  const clientId = 'private';
  await Promise.all([
    talk(here.port, { clientId }).code(),
    talk(here.ports[1] ?? 0, { clientId: 'relayed' }).code(),
  ]);
  const trace = (...args: string[]) => run(['client', 'trace', ...args, '--admin', here.adminUrl]);
  const [unknown, forbidden, relayed] = await Promise.all([
    trace('nobody'),
    trace(clientId, '--payload'),
    trace('relayed'),
  ]);
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('"nobody" is connected') });
  expect(forbidden).toMatchObject({ code: 1, stderr: expect.stringContaining('set admin.tracePayloads') });
  expect(relayed).toMatchObject({ code: 2, stderr: expect.stringContaining('it is relayed') });
  const first = startTrace(clientId);
  await until(() => first.lines().length > 0, 'the trace to begin');
  expect(await trace(clientId)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('somebody traces it'),
  });
  first.child.kill('SIGTERM');
  await once(first.child, 'exit');
  const again = await until(async () => {
    const next = startTrace(clientId);
    await Promise.race([once(next.child, 'exit'), until(() => next.lines().length > 0, 'a line')]);
    const isOpen = next.lines().length > 0;
    next.child.kill('SIGTERM');
    return isOpen;
  }, 'the place of the reader that has gone');
  expect(again).toBe(true);
});
