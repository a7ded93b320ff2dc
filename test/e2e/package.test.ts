import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { connectAsync } from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { execute, start, temporaryDirectory } from '../support/process.ts';
import { patience, until } from '../support/wait.ts';

/**
 * What `npm pack` makes is installed in a fresh folder, as users do, and carries a device: on the Node that runs the tests,
 * and on those that `NODE_VERSIONS` names, such as `22,24`, which come from npm.
 */

const root = resolve(import.meta.dirname, '../..');
const others = (process.env.NODE_VERSIONS ?? '').split(',').filter((version) => version !== '');

let packed: string[];
let installed: string;
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
    const command = join(dirname(installed), '.bin/breakwater');
    const { stdout } = await execute(node, [command, '--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  // On the Node that is here the last test has the node engine.
  const engines = version === undefined ? ['auto'] : ['auto', 'node'];

  test.each(engines)('it carries a device (engine: %s)', async (engine) => {
    const proxy = await running(node, engine);
    expect(await sendAndReceive(proxy.url)).toBe('hello');
    if (engine === 'auto' && process.platform === 'linux') expect(proxy.engine()).toBe('epoll');
    proxy.kill('SIGTERM');
    expect(await proxy.exited).toBe(0);
  });
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

  const refused = start(process.execPath, command('epoll'));
  expect(await refused.exited).toBe(2);
  expect(refused.output()).toMatch(/proxy\.engine: epoll is not available: .*koffi.*use auto or node/);
});

function command(engine: string): string[] {
  const file = join(temporaryDirectory(), 'breakwater.yaml');
  const config = {
    proxy: { engine, threads: 1 },
    listeners: [{ url: 'mqtt://127.0.0.1:0' }],
    pools: { default: { nodes: [{ url: broker }] } },
    admin: { url: 'http://127.0.0.1:0' },
    log: { level: 'info', format: 'json' },
  };
  writeFileSync(file, JSON.stringify(config));
  return [join(installed, 'dist/breakwater/main.js'), 'start', '-c', file];
}

async function running(node: string, engine: string) {
  const proxy = start(node, command(engine));
  const told = (pattern: RegExp) => pattern.exec(proxy.output())?.[1];
  const url = await until(
    () => told(/"url":"(mqtt:\/\/127\.0\.0\.1:\d+)"[^\n]*"msg":"listening"/),
    'the proxy to listen',
  );
  return { ...proxy, url, engine: () => told(/"engine":"(\w+)"/) };
}

async function sendAndReceive(url: string): Promise<string> {
  const client = await connectAsync(url, { clientId: 'packed', reconnectPeriod: 0 });
  const got = new Promise<Buffer>((done) => client.once('message', (_topic, payload) => done(payload)));
  await client.subscribeAsync('packed', { qos: 1 });
  await client.publishAsync('packed', 'hello', { qos: 1 });
  const payload = await got;
  await client.endAsync();
  return String(payload);
}
