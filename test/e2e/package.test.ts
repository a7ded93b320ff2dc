import {
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import type { UpgradeView } from '../../src/admin/backend.ts';
import { startAedes } from '../support/aedes.ts';
import { createAuthority } from '../support/certificates.ts';
import { execute, start, temporaryDirectory } from '../support/process.ts';
import { patience, until } from '../support/wait.ts';

/**
 * What `npm pack` makes is installed in a fresh folder, as users do, and carries a device: on the Node that runs the tests,
 * and on those that `NODE_VERSIONS` names, such as `22,24`, which come from npm. A proxy goes over to those, and back again.
 */

const root = resolve(import.meta.dirname, '../..');
const others = (process.env.NODE_VERSIONS ?? '').split(',').filter((version) => version !== '');

let packed: string[];
let installed: string;
/** The command line. */
let command: string;
let broker: string;

const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--no-update-notifier'];
const npm = (args: readonly string[], cwd: string) =>
  execute('npm', [...args, ...quiet], { cwd, timeout: patience(200_000) });

async function emptyProject(): Promise<string> {
  const folder = temporaryDirectory();
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  return folder;
}

beforeAll(async () => {
  const folder = await emptyProject();
  // Without scripts: the program has been built, and other tests run it.
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [tarball] = JSON.parse((await npm(pack, root)).stdout) as [
    { filename: string; files: { path: string }[] },
  ];
  packed = tarball.files.map(({ path }) => path);
  await npm(['install', '--omit=dev', join(folder, tarball.filename)], folder);
  installed = join(folder, 'node_modules/breakwater');
  command = join(folder, 'node_modules/.bin/breakwater');
  const [aedes] = await startAedes(1);
  broker = aedes?.url ?? '';
}, patience(300_000));

test('it holds the program and what its users read, and nothing else', () => {
  const places = [
    /^dist\/breakwater\/[\w.-]+\.js$/,
    /^dist\/breakwater\/dashboard\/[\w.-]+$/,
    /^(README|CHANGELOG|SECURITY)\.md$|^LICENSE$|^package\.json$/,
    /^docs\/[\w.-]+\.md$|^docs\/images\/[\w.-]+\.svg$/,
    /^examples\/[\w.-]+$/,
    /^cluster\/(kubernetes|seccomp|systemd)\/[\w.-]+$/,
  ];
  expect(packed.filter((path) => !places.some((place) => place.test(path)))).toEqual([]);
  expect(packed).toEqual(
    expect.arrayContaining(['dist/breakwater/main.js', 'dist/breakwater/dashboard/page.html']),
  );
});

test('packages that only tests use are not installed', () => {
  const beside = readdirSync(dirname(installed));
  expect(beside).toEqual(expect.arrayContaining(['fastify', 'aedes']));
  expect(beside.filter((name) => ['vitest', 'typescript', 'fast-check'].includes(name))).toEqual([]);
});

const nodes = [
  ['the Node that is here', undefined],
  ...others.map((version) => [`Node ${version}`, version]),
];

describe.each(nodes)('on %s', (_, version) => {
  let node = process.execPath;

  beforeAll(async () => {
    if (version === undefined) return;
    const folder = await emptyProject();
    await npm(['install', `node@${version}`], folder);
    node = join(folder, 'node_modules/node/bin/node');
    expect((await execute(node, ['--version'])).stdout).toMatch(new RegExp(`^v${version}\\.`));
  }, patience(300_000));

  test('`breakwater --version` tells the version', async () => {
    const { stdout } = await execute(node, [command, '--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  // On the Node that is here the last test has the node engine.
  const engines = version === undefined ? ['auto'] : ['auto', 'node'];

  test.each(engines)('it carries a device (engine: %s)', async (engine) => {
    const proxy = await running(node, engine);
    expect(await sendAndReceive(proxy.url)).toBe('hello');
    if (engine === 'auto' && process.platform === 'linux')
      expect(proxy.engine()).toBeOneOf(['uring', 'epoll']);
    expect(proxy.output()).not.toMatch(/warning/i);
    proxy.kill('SIGTERM');
    expect(await proxy.exited).toBe(0);
  });

  // On the Node that is here other tests do that.
  test.runIf(version !== undefined && process.platform === 'linux').each(['epoll', 'uring'])(
    'an upgrade goes to it and back, with a device by TLS (engine: %s)',
    async (engine) => {
      const folder = temporaryDirectory();
      const link = join(folder, 'node');
      const lead = (to: string): void => {
        symlinkSync(to, join(folder, 'next'));
        renameSync(join(folder, 'next'), link);
      };
      lead(process.execPath);
      const { certFile, keyFile } = createAuthority('root').issue({ cn: 'one', names: 'IP:127.0.0.1' });
      const tls = { cert: certFile, key: keyFile };
      const proxy = await running(link, engine, { url: 'mqtts://127.0.0.1:0', tls });
      const device = await connectAsync(proxy.url, deviceOptions);
      let closes = 0;
      device.on('close', () => closes++);
      for (const next of [node, process.execPath]) {
        lead(next);
        const upgrade = [command, 'upgrade', '--json', '--admin', proxy.adminUrl() ?? ''];
        const { to, ...went } = JSON.parse((await execute(node, upgrade)).stdout) as UpgradeView;
        expect(went).toMatchObject({ connections: 1, left: 0 });
        expect(readlinkSync(`/proc/${to.pid}/exe`)).toBe(realpathSync(next));
        expect(await echo(device)).toBe('hello');
        expect(await sendAndReceive(proxy.url)).toBe('hello');
      }
      expect(closes).toBe(0);
      await device.endAsync();
      expect(proxy.output()).not.toMatch(/warning/i);
      proxy.kill('SIGTERM');
      expect(await proxy.exited).toBe(0);
    },
  );
});

test('without koffi it falls back to the node engine, says why, and carries a device', async () => {
  const modules = dirname(installed);
  for (const name of ['koffi', '@koromix']) rmSync(join(modules, name), { recursive: true, force: true });
  const proxy = await running(process.execPath, 'auto');
  expect(proxy.engine()).toBe('node');
  expect(proxy.output()).toMatch(
    /the optional package koffi cannot be loaded \(Cannot find module 'koffi'\)/,
  );
  expect(await sendAndReceive(proxy.url)).toBe('hello');

  const refused = start(process.execPath, startArguments('epoll'));
  expect(await refused.exited).toBe(2);
  expect(refused.output()).toMatch(/proxy\.engine: epoll is not available: .*koffi.*use auto or node/);
});

function startArguments(engine: string, listener: object = { url: 'mqtt://127.0.0.1:0' }): string[] {
  const file = join(temporaryDirectory(), 'breakwater.yaml');
  const config = {
    proxy: { engine, threads: 1 },
    listeners: [listener],
    pools: { default: { nodes: [{ url: broker }] } },
    admin: { url: 'http://127.0.0.1:0' },
    log: { level: 'info', format: 'json' },
  };
  writeFileSync(file, JSON.stringify(config));
  return [join(installed, 'dist/breakwater/main.js'), 'start', '-c', file];
}

async function running(node: string, engine: string, listener?: object) {
  const proxy = start(node, startArguments(engine, listener));
  const told = (pattern: RegExp) => pattern.exec(proxy.output())?.[1];
  const url = await until(
    () => told(/"url":"(mqtts?:\/\/127\.0\.0\.1:\d+)"[^\n]*"msg":"listening"/),
    'the proxy to listen',
  );
  const adminUrl = () => told(/"url":"(http[^"]+)"[^\n]*"msg":"admin listening"/);
  return { ...proxy, url, adminUrl, engine: () => told(/"engine":"(\w+)"/) };
}

const deviceOptions = { clientId: 'packed', reconnectPeriod: 0, rejectUnauthorized: false };

async function sendAndReceive(url: string): Promise<string> {
  const client = await connectAsync(url, { ...deviceOptions, clientId: 'comes' });
  const payload = await echo(client);
  await client.endAsync();
  return payload;
}

async function echo(client: MqttClient): Promise<string> {
  const { clientId = '' } = client.options;
  const got = new Promise<Buffer>((done) => client.once('message', (_topic, payload) => done(payload)));
  await client.subscribeAsync(clientId, { qos: 1 });
  await client.publishAsync(clientId, 'hello', { qos: 1 });
  return String(await got);
}
