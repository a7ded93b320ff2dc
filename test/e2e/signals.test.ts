import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { main } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { atEnd, start, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** A Redis that takes connections and says nothing: the start waits for it, for a while. */
async function silentRedis(): Promise<string> {
  const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => server.close());
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function starting() {
  const file = join(temporaryDirectory(), 'breakwater.yaml');
  const config = {
    listeners: [{ url: 'mqtt://127.0.0.1:0' }],
    admin: { url: 'http://127.0.0.1:0' },
    membership: { store: 'redis', url: await silentRedis() },
    limits: { shutdownGrace: 0 },
  };
  writeFileSync(file, JSON.stringify(config));
  const proxy = start(process.execPath, [main, 'start', '-c', file]);
  const says = (msg: string) =>
    until(() => proxy.output().includes(`"msg":"${msg}`), `the log to say '${msg}'`);
  await says('starting');
  return { ...proxy, says };
}

test('SIGHUP during the start does not end it: the configuration is read again when it is done', async () => {
  const proxy = await starting();
  proxy.kill('SIGHUP');
  await proxy.says('listening');
  await proxy.says('reloaded: nothing has changed');
  proxy.kill('SIGINT');
  expect(await proxy.exited).toBe(0);
});

test('SIGTERM during the start ends it in order, with 0', async () => {
  const proxy = await starting();
  proxy.kill('SIGTERM');
  expect(await proxy.exited).toBe(0);
  expect(proxy.output()).not.toContain('"msg":"listening"');
  expect(proxy.output()).toContain('"msg":"stopped"');
});

/** The first line of Linux's mask of the signals that a process handles; SIGHUP is its lowest bit. */
function handlesHangup(pid: number): boolean {
  const [, mask = '0'] = /^SigCgt:\s+([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (BigInt(`0x${mask}`) & 1n) === 1n;
}

test.skipIf(process.platform !== 'linux')('signals are heeded while the configuration is read', async () => {
  const pipe = join(temporaryDirectory(), 'breakwater.yaml');
  execFileSync('mkfifo', [pipe]);
  const proxy = start(process.execPath, [main, 'start', '-c', pipe]);
  await until(() => handlesHangup(proxy.pid), 'SIGHUP to be handled');
  proxy.kill('SIGHUP');
  proxy.kill('SIGINT');
  await writeFile(pipe, 'admin: { url: "http://127.0.0.1:0" }');
  expect(await proxy.exited).toBe(0);
});

test('a terminal that is closed is a log that is gone: the proxy goes on, and stops in order', async () => {
  const directory = temporaryDirectory();
  const [file, code] = [join(directory, 'breakwater.yaml'), join(directory, 'code')];
  const admin = `http://127.0.0.1:${await freePort()}`;
  writeFileSync(file, JSON.stringify({ listeners: [{ url: 'mqtt://127.0.0.1:0' }], admin: { url: admin } }));
  // The shell has a handler of its own, so that it lives to tell how its child ended.
  const command = `trap : HUP; ${process.execPath} ${main} start -c ${file}; echo $? > ${code}`;
  const terminal = start('script', ['-qec', command, '/dev/null'], { SHELL: '/bin/sh' });
  const asked = (path: string) => fetch(`${admin}${path}`);
  await until(() => terminal.output().includes('listening'), 'the proxy to listen');
  const { proxy } = (await (await asked('/api/v1/status')).json()) as { proxy: { pid: number } };
  atEnd(() => existsSync(code) || process.kill(proxy.pid, 'SIGKILL'));

  terminal.kill('SIGKILL');
  const lost = async () => {
    await fetch(`${admin}/api/v1/reload`, { method: 'POST' }); // says that nothing has changed
    const metrics = await (await asked('/metrics')).text();
    return Number(/^breakwater_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]);
  };
  await until(async () => (await lost()) > 0, 'lines to be lost');
  process.kill(proxy.pid, 'SIGTERM');
  expect(await until(() => existsSync(code) && readFileSync(code, 'utf8'), 'the end')).toBe('0\n');
});
