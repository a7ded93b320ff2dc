import { once } from 'node:events';
import { readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { NodeView } from '../../src/admin/backend.ts';
import type { ClientHistory } from '../../src/admin/journal-views.ts';
import { version } from '../../src/base/version.ts';
import { PROTOCOL, VALUE_FORMAT } from '../../src/handover/protocol.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { run } from '../support/cli.ts';
import { connectDevice, type Device } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { startHttpNode } from '../support/http.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { temporaryDirectory } from '../support/process.ts';
import { type Installed, startInstalled } from '../support/upgrade.ts';
import { until } from '../support/wait.ts';

/** Real processes that take each other's place: what goes over besides connections, and what happens when it fails. */

const isLinux = process.platform === 'linux';

let broker: Mosquitto;
beforeAll(async () => {
  broker = await startMosquitto();
});

const nodes = () => ({ default: { nodes: [{ id: 'n0', url: broker.url }] } });

/** Tells of devices that are disconnected. */
function watch(devices: readonly Device[]): string[] {
  const ends: string[] = [];
  for (const { socket, clientId } of devices) socket.once('close', () => ends.push(clientId));
  return ends;
}

/** The answer of the broker to a PINGREQ. */
async function ping({ socket }: Device): Promise<string> {
  socket.write(Buffer.from([0xc0, 0x00]));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString('hex');
}

/** A program that says these messages of the hand-over, and ends by itself. */
const says = (...messages: readonly object[]) => `
  import { writeSync } from 'node:fs';
  for (const message of ${JSON.stringify(messages)}) {
    const body = Buffer.from(JSON.stringify(message));
    const head = Buffer.alloc(8);
    head.writeUInt32LE(body.length, 0);
    writeSync(3, Buffer.concat([head, body]));
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
`;
const hello = {
  ...{ type: 'hello', protocols: [PROTOCOL], version: '9.9.9' },
  ...{ node: process.version, format: VALUE_FORMAT },
};

describe.runIf(isLinux)('an upgrade', () => {
  let proxy: Installed;
  let device: Device;
  let ends: string[];
  let startedAt: string;

  beforeAll(async () => {
    const web = await startHttpNode((_, response) => void response.end('from the web'));
    proxy = await startInstalled({
      proxy: { id: 'edge-1', threads: 2 },
      limits: { shutdownGrace: 0 },
      listeners: [
        { url: 'mqtt://127.0.0.1:0', mode: 'relay' },
        { url: 'http://127.0.0.1:0', pool: 'web' },
      ],
      pools: {
        ...nodes(),
        web: { health: { probe: 'tcp' }, nodes: [{ id: 'w0', url: web.url }] },
      },
    });
    device = await connectDevice(proxy.port, 'stays');
    ends = watch([device]);
    ({ startedAt } = (await proxy.status()).proxy);
  });

  test('starts a process that is the same proxy at the same addresses', async () => {
    await run(['node', 'drain', 'n0', '--no-wait', '--admin', proxy.adminUrl]);
    await proxy.api('nodes', { method: 'POST', body: { id: 'n1', pool: 'default', url: broker.url } });
    const told = async (): Promise<string[]> => {
      const headers = { accept: 'application/json' };
      const answer = await fetch(`${proxy.adminUrl}/api/v1/events`, { headers });
      const { events } = (await answer.json()) as { events: { id: string; type: string }[] };
      return events.map(({ id, type }) => `${id} ${type}`);
    };
    const before = await told();
    const history = async () => (await proxy.api<ClientHistory>('clients/stays/history')).entries;
    const entries = await history();
    expect(entries.map(({ what }) => what)).toEqual(['connected']);
    const { from, to } = await proxy.upgrade();
    const since = await told();
    expect(since.slice(0, before.length)).toEqual(before);
    expect(since.slice(before.length).some((event) => event.endsWith(' upgrade'))).toBe(true);
    expect(await history()).toEqual(entries);
    expect(from).toMatchObject({ pid: proxy.pid, generation: 1 });
    expect(to.generation).toBe(2);
    const status = await proxy.status();
    expect(status.proxy).toMatchObject({ id: 'edge-1', pid: to.pid, generation: 2, startedAt });
    expect(new URL(status.proxy.listeners[0] ?? '').port).toBe(String(proxy.port));
    expect(status.ready).toBe(true);
    const states = (await proxy.api<NodeView[]>('nodes')).map(({ id, state }) => [id, state]);
    expect(states).toContainEqual(['n0', 'draining']);
    expect(states).toContainEqual(['n1', 'enabled']);
    expect(await (await fetch(`http://127.0.0.1:${proxy.ports[1]}/`)).text()).toBe('from the web');
    expect((await connectDevice(proxy.port, 'comes')).code).toBe(0);
    expect(await ping(device)).toBe('d000');
  });

  test('refuses nobody who connects meanwhile, three times in a row', async () => {
    const codes: Promise<number | string>[] = [];
    let goesOn = true;
    const storm = (async () => {
      for (let i = 0; goesOn; i++) {
        codes.push(connectDevice(proxy.port, `storm-${i}`).then(({ code }) => code, String));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    const generations: number[] = [];
    for (let i = 0; i < 3; i++) generations.push((await proxy.upgrade()).to.generation);
    goesOn = false;
    await storm;
    expect(generations).toEqual([3, 4, 5]);
    expect(codes.length).toBeGreaterThan(20);
    expect([...new Set(await Promise.all(codes))]).toEqual([0]);
  });

  test('closes no HTTP connection before it has answered the next request there, and says then that it is the last', async () => {
    const socket = connect(proxy.ports[1] as number, '127.0.0.1').setEncoding('latin1');
    let answers = '';
    socket.on('data', (text) => {
      answers += text;
    });
    const ask = () => socket.write('GET / HTTP/1.1\r\nHost: web.test\r\n\r\n');
    const count = () => answers.split('from the web').length - 1;
    ask();
    await until(() => count() === 1, 'the first answer');
    expect(answers).not.toMatch(/connection: close/i);
    const closed = once(socket, 'close');
    await proxy.upgrade();
    ask();
    await closed;
    expect(count()).toBe(2);
    expect(answers).toMatch(/connection: close/i);
  });

  test('is passed on by the first process, which stays: SIGUSR2, SIGHUP, and the end with its exit code', async () => {
    proxy.kill('SIGUSR2');
    // The old process may end the connection of a question in the middle.
    const generation = async () => (await proxy.status().catch(() => undefined))?.proxy.generation;
    await until(async () => (await generation()) === 7, 'the seventh process');
    proxy.kill('SIGHUP');
    await until(() => proxy.logs().some(({ msg }) => msg === 'reloaded: nothing has changed'), 'a reload');
    expect(ends).toEqual([]);
    device.socket.destroy();
    proxy.kill('SIGTERM');
    expect(await proxy.exited).toBe(0);
    await expect(fetch(proxy.adminUrl)).rejects.toThrow();
  });
});

describe.runIf(isLinux)('an upgrade that fails', () => {
  const config = { proxy: { threads: 2 }, limits: { shutdownGrace: 0 } };
  let proxy: Installed;
  let devices: Device[];
  let ends: string[];

  beforeAll(async () => {
    proxy = await startInstalled({ ...config, pools: nodes() });
    devices = [await connectDevice(proxy.port, 'a'), await connectDevice(proxy.port, 'b')];
    ends = watch(devices);
  });

  async function goesOn(): Promise<void> {
    expect((await proxy.status()).proxy).toMatchObject({ pid: proxy.pid, generation: 1 });
    expect((await connectDevice(proxy.port, `after-${Math.random()}`)).code).toBe(0);
    for (const device of devices) expect(await ping(device)).toBe('d000');
    expect(ends).toEqual([]);
    const { total } = await proxy.api<{ total: number }>('clients');
    expect(total).toBeGreaterThanOrEqual(2);
  }

  test('by a configuration that is wrong: the old process goes on, and says why', async () => {
    proxy.rewriteText('listeners: 17\n');
    await expect(proxy.upgrade()).rejects.toThrow(/the proxy goes on as it was: .*listeners/s);
    await goesOn();
    proxy.rewrite({ cluster: 'another', pools: nodes() });
    await expect(proxy.upgrade()).rejects.toThrow('an upgrade cannot change cluster');
    await goesOn();
    proxy.rewrite({ ...config, pools: nodes() });
  });

  test.each([
    ['ends without a word', ''],
    ['speaks another protocol', says({ ...hello, protocols: [7] })],
    ['dies when it has the listening sockets', says(hello, { type: 'ready' })],
    ['dies when it is to take connections', says(hello, { type: 'ready' }, { type: 'listening' })],
    ['says what nobody understands', says(hello, { type: 'fine' })],
  ])('because the new program %s', async (_, program) => {
    proxy.install(program);
    await expect(proxy.upgrade()).rejects.toThrow('the proxy goes on as it was');
    await goesOn();
  });

  test('because another build is installed that speaks another protocol; one that speaks the same takes over', async () => {
    proxy.replace({ version: '9.9.9', protocol: PROTOCOL + 1 });
    await expect(proxy.upgrade()).rejects.toThrow(
      `version 9.9.9 does not speak protocol ${PROTOCOL} of the hand-over; restart the proxy instead`,
    );
    await goesOn();
    proxy.replace({ version: '9.9.9' });
    const { from, to } = await proxy.upgrade();
    expect([from.version, to.version]).toEqual([version(), '9.9.9']);
    expect((await proxy.status()).proxy).toMatchObject({ version: '9.9.9', generation: 2 });
    expect((await connectDevice(proxy.port, 'newer')).code).toBe(0);
    for (const device of devices) expect(await ping(device)).toBe('d000');
    expect(ends).toEqual([]);
    proxy.replace({ version: '1.0.0', protocol: PROTOCOL + 1 });
    await expect(proxy.upgrade()).rejects.toThrow('version 1.0.0 does not speak protocol');
  });

  test('because the proxy is to stop meanwhile: it stops', async () => {
    proxy.install('setTimeout(() => {}, 60_000);');
    const upgraded = proxy.upgrade().catch(String);
    await until(() => proxy.logs().some(({ msg }) => String(msg).startsWith('upgrading')), 'the upgrade');
    proxy.kill('SIGTERM');
    expect(await proxy.exited).toBe(0);
    await upgraded;
  });
});

test.runIf(isLinux)(
  'a process that loses the old one while it starts is a proxy like any other',
  async () => {
    const listeners = [{ url: `mqtt://127.0.0.1:${await freePort()}` }];
    const admin = { url: `http://127.0.0.1:${await freePort()}` };
    const proxy = await startInstalled({ proxy: { threads: 2 }, listeners, admin, pools: nodes() });
    const upgraded = proxy.upgrade().catch(String);
    await until(() => proxy.processes().length === 2, 'the new process');
    proxy.kill('SIGKILL');
    await upgraded;
    const pid = await until(async () => {
      return proxy.status().then(
        (status) => status.ready && status.proxy.pid,
        () => false,
      );
    }, 'the new process');
    expect(pid).not.toBe(proxy.pid);
    expect((await connectDevice(proxy.port, 'comes')).code).toBe(0);
  },
);

test.runIf(isLinux)('runs the Node.js that the name leads to by which it was started', async () => {
  const folder = temporaryDirectory();
  const [node, next] = [join(folder, 'node'), join(folder, 'next')];
  symlinkSync(process.execPath, node);
  const proxy = await startInstalled({ proxy: { threads: 1 }, pools: nodes() }, { node });
  const device = await connectDevice(proxy.port, 'stays');
  writeFileSync(next, `#!/bin/sh\nNEXT_NODE=yes exec ${process.execPath} "$@"\n`, { mode: 0o755 });
  renameSync(next, node);
  const { to } = await proxy.upgrade();
  expect(readFileSync(`/proc/${to.pid}/environ`, 'latin1').split('\0')).toContain('NEXT_NODE=yes');
  expect(await ping(device)).toBe('d000');
});

test('the engine of Node.js says that it cannot', async () => {
  const proxy = await startBreakwater({ proxy: { engine: 'node' }, pools: nodes() });
  const { code, stderr } = await run(['upgrade', '--admin', proxy.adminUrl]);
  expect(code).toBe(1);
  expect(stderr).toContain('by the engines epoll and uring only');
});
