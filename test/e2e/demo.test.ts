import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { main, run } from '../support/cli.ts';
import { type Spawned, start } from '../support/process.ts';
import { until } from '../support/wait.ts';

const anyPort = ['--listen', 'mqtt://127.0.0.1:0', '--admin', 'http://127.0.0.1:0'];
const startCli = (...args: string[]) => start(process.execPath, [main, ...args]);

/** Waits until it has printed that. */
const shownBy = (demo: Spawned, pattern: RegExp) =>
  until(() => pattern.exec(demo.output()), `the demo to print ${pattern}`);
const ADDRESS = /cluster address +(mqtt:\/\/127\.0\.0\.1:\d+)/;

/** What differs from start to start: ports, and numbers of processes, which may be small. */
const anyNumbers = (text: string) =>
  text
    .replace(/\d{4,}|(?<=kill -9 )\d+/g, 'N')
    .replace(/ +/g, ' ')
    .trim();

describe('the demo', () => {
  let demo: Spawned;
  beforeAll(() => {
    demo = startCli('demo', '--devices', '20', ...anyPort);
  });

  test('prints what README.md shows: where everything is, and how it is used', async () => {
    await shownBy(demo, /Ctrl-C stops all of it\./);
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
    const shown = /```sh\nnpm ci && npm start\n```\n\n```text\n([^`]*)```/.exec(readme)?.[1] ?? '';
    expect(anyNumbers(demo.output().split('stops all of it.')[0] ?? '')).toBe(
      anyNumbers(shown.split('stops all of it.')[0] ?? ''),
    );
  });

  test('cannot be upgraded: the program anew would be another demo. It says so, and goes on', async () => {
    const [, admin] = await shownBy(demo, /dashboard, API +(http:\/\/127\.0\.0\.1:\d+)/);
    const { code, stderr } = await run(['upgrade', '--admin', String(admin)]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('this proxy is part of another program')]);
    expect(demo.output()).not.toContain('upgrade failed');
  });

  test('has devices, carries messages across its nodes, and stops at Ctrl-C', async () => {
    const [, url] = await shownBy(demo, ADDRESS);
    const [, admin] = await shownBy(demo, /dashboard, API +(http:\/\/127\.0\.0\.1:\d+)/);
    await shownBy(
      demo,
      /20\/20 devices · out \d+\/s · in \d+\/s · reconnects 0 · broker-1 \d+ · broker-2 \d+ · broker-3 \d+/,
    );
    expect((await fetch(`${admin}/readyz`)).status).toBe(200);

    const subscribers = await Promise.all(
      [1, 2, 3].map(() => connectAsync(String(url), { reconnectPeriod: 0 })),
    );
    const inbox: string[] = [];
    for (const subscriber of subscribers) {
      subscriber.on('message', (_, payload) => inbox.push(String(payload)));
      await subscriber.subscribeAsync('greeting');
    }
    await subscribers[0]?.publishAsync('greeting', 'hello');
    await until(() => inbox.length === 3, 'the message at every node');

    demo.kill('SIGINT');
    expect(await demo.exited).toBe(0);
  });
});

test('a broker can be killed from outside: its devices stay connected, no message is lost, and it comes back', async () => {
  const demo = startCli('demo', '--brokers', '2', ...anyPort);
  const shown = (pattern: RegExp) => shownBy(demo, pattern);
  const [, url] = await shown(ADDRESS);
  const device = async (clientId: string) => {
    const client = await connectAsync(String(url), { clientId, clean: false, reconnectPeriod: 0 });
    client.on('close', () => closed.push(clientId));
    return client;
  };
  const closed: string[] = [];
  const inbox: number[] = [];
  const watcher = await device('watcher');
  watcher.on('message', (_, payload) => inbox.push(Number(payload)));
  await watcher.subscribeAsync('demo/#', { qos: 1 });
  const clock = await device('clock');

  const placed = Object.fromEntries(
    await Promise.all(
      ['watcher', 'clock'].map(async (id) => [
        id,
        (await shown(new RegExp(`device ${id} → (broker-\\d)`)))[1],
      ]),
    ),
  ) as Record<string, string>;
  let sent = 0;
  const publish = async () => clock.publishAsync('demo/clock', String(++sent), { qos: 1 });
  for (const victim of new Set(Object.values(placed))) {
    const [, pid] = await shown(new RegExp(`kill -9 (\\d+) +# ${victim}`));
    await Promise.all([publish(), publish()]);
    process.kill(Number(pid), 'SIGKILL');
    const moved = new RegExp(`device (?:watcher|clock) moved ${victim} →`);
    await until(async () => {
      await publish();
      return moved.test(demo.output());
    }, `the demo to print ${moved}`);
    await publish();
    await shown(new RegExp(`${victim} is back: kill -9 \\d+`));
  }
  await until(() => new Set(inbox).size === sent, 'every message that was acknowledged');
  const first = [...new Set(inbox)]; // with QoS 1 one may come twice
  expect(first).toEqual(first.toSorted((a, b) => a - b));
  expect(closed).toEqual([]);
  demo.kill('SIGINT');
  expect(await demo.exited).toBe(0);
});

const small = [...anyPort, '--brokers', '1'];

test.each([
  ['demo', '--listen', 'mqtt://', small],
  ['demo', '--admin', 'http://', small],
  ['broker', '--listen', 'mqtt://', []],
])('%s: a taken port is told with %s', async (command, flag, scheme, others) => {
  const [taken] = await startAedes(1);
  const kept = others.flatMap((value, i) =>
    i % 2 === 0 && value !== flag ? [value, others[i + 1] as string] : [],
  );
  const { code, stderr } = await run([command, ...kept, flag, `${scheme}127.0.0.1:${taken?.port}`]);
  expect(stderr).toContain(`127.0.0.1:${taken?.port}`);
  expect(stderr).toContain(flag);
  expect(code).toBe(1);
});

test('a broker node serves until SIGTERM', async () => {
  const broker = startCli('broker', '--listen', 'mqtt://127.0.0.1:0');
  const [url] = await until(() => /mqtt:\/\/127\.0\.0\.1:\d+/.exec(broker.output()), 'its address');
  const device = await connectAsync(url, { reconnectPeriod: 0 });
  const closed = new Promise<void>((resolve) => device.once('close', () => resolve()));
  broker.kill('SIGTERM');
  await closed;
  expect(await broker.exited).toBe(0);
});
