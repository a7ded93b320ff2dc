import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Broker } from '../../cluster/broker.ts';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { adopt } from '../support/children.ts';
import { main, run, runHere } from '../support/cli.ts';
import { connectDevice } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { atEnd, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

function file(text: string): string {
  const path = join(temporaryDirectory(), 'breakwater.yaml');
  writeFileSync(path, text);
  return path;
}

/** Something that is no Breakwater: answers every request with this. */
async function stranger(status: number, body: string): Promise<string> {
  const server = createServer((_request, response) => response.writeHead(status).end(body)).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  atEnd(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('help and usage', () => {
  const families = {
    node: ['list', 'add', 'remove', 'drain', 'enable', 'disable', 'weight', 'inspect'],
    client: ['list', 'inspect', 'move', 'kick'],
    ban: ['add', 'list', 'remove'],
    proxy: ['list'],
    config: ['show'],
  };
  const single = [
    ...[
      'start',
      'check',
      'demo',
      'broker',
      'status',
      'node',
      'client',
      'ban',
      'rebalance',
      'proxy',
      'reload',
    ],
    ...['config', 'schema', 'completion', 'top'],
  ];
  const commands = [
    ...single.map((name) => [name]),
    ...Object.entries(families).flatMap(([family, names]) => names.map((name) => [family, name])),
  ];

  it('gives every command a --help with an example, on standard output, exit code 0', async () => {
    const answers = await Promise.all(commands.map((command) => runHere([...command, '--help'])));
    for (const [index, { code, stdout }] of answers.entries()) {
      const words = commands[index]?.join(' ');
      expect([words, code]).toEqual([words, 0]);
      expect(stdout).toMatch(new RegExp(`Examples?:\n {2}breakwater ${words}`));
    }
  });

  it('prints its version', async () => {
    expect(await run(['--version'])).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    });
  });

  it.each([
    [[], 'Usage: breakwater'],
    [['nod'], "unknown command 'nod'\n(Did you mean node?)"],
    [['node'], 'Usage: breakwater node'],
    [['node', 'add'], "missing required argument 'url'"],
    [['node', 'list', '--colour'], "unknown option '--colour'"],
    [['node', 'weight', 'a', '101'], 'whole number from 1 to 100'],
    [['node', 'list', '--admin', 'nonsense'], '--admin must look like http://'],
    [['demo', '--brokers', 'x'], 'whole number from 1 to 16'],
    [['events', '--since', '5x'], 'It must be such as 10m, a time (RFC 3339), or the id of an event.'],
    [['events', '--since', '2026-13-01'], 'It must be such as 10m'],
    [['check'], "required option '-c, --config <file>'"],
    [['start', '--strategy', 'fastest', '--listen', 'ftp://a:1'], "scheme 'ftp' is unknown; use mqtt, mqtts"],
    [
      ['start', '-c', '/nowhere/breakwater.yaml'],
      'cannot read the configuration /nowhere/breakwater.yaml: there is no such file',
    ],
    [['start', '--admin', 'http://0.0.0.0:9883'], 'needs a token'],
  ])('breakwater %j is wrong usage: exit code 2', async (args, message) => {
    const { code, stdout, stderr } = await runHere(args, { BREAKWATER_TOKEN: '' });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('ends a process of its own with that exit code', async () => {
    expect(await run(['nod'])).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('breakwater check', () => {
  const bad = 'cluster: a b\npools: { default: { strategy: fastest } }\n';

  it('accepts a good file', async () => {
    const path = file('pools: { default: { nodes: [{ url: mqtt://10.0.0.1 }] } }');
    expect(await runHere(['check', '-c', path])).toEqual({
      code: 0,
      stdout: `${path} is valid: listeners 1, pools 1, nodes 1\n`,
      stderr: '',
    });
  });

  it('lists everything that is wrong in a bad one, each with line and path: exit code 2', async () => {
    const path = file(bad);
    const { code, stdout, stderr } = await run(['check', '-c', path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: ${path}: 2 problems\n  line 1, column 1: cluster: must be`);
    expect(stderr).toContain('\n  line 2, column 21: pools.default.strategy: must be');
  });

  it('lists it for machines with --json', async () => {
    const { code, stdout } = await runHere(['check', '-c', file(bad), '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      valid: false,
      problems: [
        { path: 'cluster', line: 1, column: 1 },
        { path: 'pools.default.strategy', line: 2, column: 21 },
      ],
    });
  });
});

describe('what only warns', () => {
  it('is told beside what is valid, on standard error: exit code 0', async () => {
    const path = file('pools: { default: { nodes: [{ url: mqtt://10.0.0.1 }] }, old: {} }');
    const { code, stdout, stderr } = await runHere(['check', '-c', path]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${path} is valid: listeners 1, pools 2, nodes 1\n`,
    });
    expect(stderr).toContain(
      'warning: line 1, column 58: pools.old: no listener and no rule uses this pool\n',
    );
    expect(stderr).toContain('pools.old: has no nodes and no discovery');
  });
});

describe('breakwater config show, schema and completion', () => {
  it('shows what a start would go by, without secrets', async () => {
    const path = file('admin: { token: correct-horse }\nlimits: { connectTimeout: 7 }\n');
    const { code, stdout } = await runHere([
      ...['config', 'show', '-c', path],
      ...['--redis', 'redis://u:p4ss@10.0.0.9'],
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}token: "?\*\*\*"?$/m);
    expect(stdout).toContain('redis://***@10.0.0.9');
    expect(stdout).toMatch(/^ {2}connectTimeout: 7$/m);
    expect(stdout).toMatch(/^ {2}maxConnections: 100000$/m);
    expect(stdout).not.toMatch(/correct-horse|p4ss/);
  });
});

describe('breakwater check --explain', () => {
  it('says which rule decides over one connection', async () => {
    const path = file('rules: [{ when: { clientId: "^a" }, reject: banned }]');
    const explain = ['--explain', 'clientId=abc', 'source=10.1.2.3'];
    const { code, stdout } = await runHere(['check', '-c', path, ...explain]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "rules[0] decides: clientId is 'abc', as ^a\n=> rejected as banned\n",
    });
  });
});

describe('an admin API that is not there', () => {
  it('names the address that was tried and the flag that changes it: exit code 1', async () => {
    const admin = `http://127.0.0.1:${await freePort()}`;
    const { code, stdout, stderr } = await run(['node', 'list', '--admin', admin]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `error: the admin API is not reachable at ${admin} (ECONNREFUSED); is Breakwater running there? --admin URL names another address\n`,
    );
  });

  it.each([
    [200, '<html>'],
    [404, '{"error":"no"}'],
  ])('says so when another server answers there (%d %s)', async (status, body) => {
    const { code, stderr } = await runHere(['status', '--admin', await stranger(status, body)]);
    expect(code).toBe(1);
    expect(stderr).toContain('something else than the admin API answered');
  });
});

describe('a running proxy', () => {
  const TOKEN = 'correct-horse';
  let brokers: Broker[];
  let proxy: Breakwater;

  beforeAll(async () => {
    brokers = await startAedes(2);
    const nodes = brokers.map(({ url }, i) => ({ url, id: `aedes:${i + 1}` }));
    proxy = await startBreakwater({
      pools: { default: { nodes } },
      limits: { maxConnections: 1000 }, // within the open files of any machine
      admin: { url: 'http://127.0.0.1:0', token: TOKEN },
    });
    const healthy = () => proxy.logs().filter(({ msg }) => msg === 'node healthy');
    await until(() => healthy().length === 2, 'both nodes to be healthy');
  });

  const cli = async (...args: string[]) => {
    const { code, stdout, stderr } = await runHere([...args, '--admin', proxy.adminUrl], {
      BREAKWATER_TOKEN: TOKEN,
    });
    return { code, text: stdout + stderr };
  };
  const json = async (...args: string[]) => JSON.parse((await cli(...args, '--json')).text);

  it('shows its nodes and itself, to people and to machines', async () => {
    const table = (await cli('node', 'list')).text.split('\n');
    expect(table[0]).toMatch(/^ID +POOL +URL +WEIGHT +STATE +HEALTH +CONNECTIONS +SOURCE$/);
    expect(table[1]).toMatch(/^aedes:1 +default +mqtt:.* 10 +enabled +/);
    expect(await json('node', 'list')).toMatchObject(
      brokers.map(({ url }, i) => ({ id: `aedes:${i + 1}`, url, weight: 10 })),
    );
    expect(await cli('node', 'list', '--pool', 'defualt')).toEqual({
      code: 1,
      text: 'error: no pool "defualt" (did you mean \'default\'?); pools are default\n',
    });
    expect(await cli('client', 'list', '--node', 'nope')).toEqual({
      code: 1,
      text: 'error: no node "nope"; nodes are aedes:1, aedes:2\n',
    });
    expect((await cli('proxy', 'list')).text).toContain(proxy.url);
    expect(await json('proxy', 'list')).toMatchObject([{ listeners: [proxy.url], pid: proxy.pid }]);
  });

  it('shows its state, and what is wrong with what helps', async () => {
    const status = await cli('status');
    expect(status).toEqual({
      code: 0,
      text: expect.stringMatching(/^ready +yes$[\s\S]*\n\nnothing is wrong\n$/m),
    });
    onTestFinished(async () => {
      for (const id of ['aedes:1', 'aedes:2']) await cli('node', 'enable', id);
    });
    for (const id of ['aedes:1', 'aedes:2']) await cli('node', 'disable', id);
    const wrong = await cli('status');
    expect(wrong.code).toBe(1);
    expect(wrong.text).toContain(
      `! no node of pool default is enabled\n    breakwater node enable aedes:1 --admin ${proxy.adminUrl}\n`,
    );
    expect(await json('status')).toMatchObject({
      ready: false,
      nodes: { total: 2, enabled: 0 },
      findings: [{}],
    });
  });

  it('shows nodes, rates and what is wrong over and over, until it is told to stop', async () => {
    for (const args of [['top'], ['node', 'list', '--watch']]) {
      const child = spawn(process.execPath, [main, ...args, '--admin', proxy.adminUrl, '--token', TOKEN]);
      adopt(child);
      let text = '';
      child.stdout.on('data', (bytes) => {
        text += bytes;
      });
      await until(() => text.split(/^ +NODE +POOL|^ID +POOL/m).length >= 3, 'a second table');
      expect(text).toMatch(/^ *aedes:1 +default /m);
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      expect(await exit).toEqual([0, null]);
    }
  });

  it('takes nodes in and out, and changes them', async () => {
    const [third] = await startAedes(1);
    const url = third?.url ?? '';
    expect(await cli('node', 'add', url, '--id', 'x', '--weight', '20')).toEqual({
      code: 0,
      text: 'node x added to pool default with weight 20\n',
    });
    expect(await cli('node', 'weight', 'x', '50')).toEqual({
      code: 0,
      text: 'node x is enabled with weight 50\n',
    });
    expect((await cli('node', 'disable', 'x')).text).toBe('node x is disabled with weight 50\n');
    expect((await cli('node', 'enable', 'x')).text).toBe('node x is enabled with weight 50\n');
    expect((await cli('node', 'drain', 'x')).text).toContain('node x is empty; sessions moved: 0\n');
    expect(await json('node', 'inspect', 'x')).toMatchObject({
      state: 'draining',
      weight: 50,
      source: 'api',
    });
    expect((await cli('node', 'inspect', 'x')).text).toMatch(/^state +draining$/m);
    expect((await cli('node', 'remove', 'x')).text).toBe('node x removed\n');
    expect(await json('node', 'list')).toHaveLength(brokers.length);
  });

  it('says of an unknown node which ones exist, and refuses bad ones: exit codes 1 and 2', async () => {
    const unknown = await cli('node', 'inspect', 'nobody');
    expect(unknown.code).toBe(1);
    expect(unknown.text).toMatch(/nobody.*aedes:1.*aedes:2/);
    expect(await cli('node', 'add', 'wss://a:1')).toMatchObject({ code: 2 });
    expect(await cli('node', 'add', 'mqtt://127.0.0.1:1', '--id', 'aedes:1')).toMatchObject({ code: 1 });
  });

  it('lists, inspects and kicks devices, whatever their client id', async () => {
    const [odd] = await Promise.all([
      connectDevice(proxy.port, 'a/b c%?#\u00e9'),
      connectDevice(proxy.port, 'plain'),
    ]);
    expect(await json('client', 'list')).toMatchObject({ total: 2 });
    expect(await json('client', 'list', '--match', 'pla')).toMatchObject({
      total: 1,
      clients: [{ clientId: 'plain' }],
    });
    expect((await cli('client', 'list', '--limit', '1')).text).toContain('… 2 in all; --after ');
    expect((await cli('client', 'inspect', odd.clientId)).text).toMatch(/^mode +session$/m);
    const closed = once(odd.socket, 'close');
    expect(await cli('client', 'kick', odd.clientId)).toEqual({
      code: 0,
      text: `client ${odd.clientId} disconnected\n`,
    });
    await closed;
    expect(await cli('client', 'inspect', 'nobody')).toMatchObject({ code: 1 });
  });

  it('asks for its token, from --token or BREAKWATER_TOKEN', async () => {
    const list = ['node', 'list', '--admin', proxy.adminUrl];
    const without = await runHere(list, { BREAKWATER_TOKEN: '' });
    expect(without.code).toBe(1);
    expect(without.stderr).toContain('--token or BREAKWATER_TOKEN');
    expect(await runHere([...list, '--token', TOKEN])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('aedes:1'),
    });
    expect(await runHere(list, { BREAKWATER_TOKEN: TOKEN })).toMatchObject({ code: 0 });
  });

  it('is asked by a shell for the ids of nodes, pools and bans when it completes a command', async () => {
    const { stdout: script } = await runHere(['completion', 'bash']);
    const wrapped = `breakwater() { "${process.execPath}" "${main}" "$@"; }\n${script}
      for COMP_LINE in "$@"; do COMP_POINT=\${#COMP_LINE}; _breakwater; echo "\${COMPREPLY[*]}"; done`;
    const lines = [
      'breakwater no',
      'breakwater node dr',
      'breakwater node drain aedes:',
      'breakwater node list --pool ',
      'breakwater ban remove ',
    ];
    const { id } = await json('ban', 'add', '--client-id', 'stolen');
    onTestFinished(async () => void (await cli('ban', 'remove', id)));
    const env = { ...process.env, BREAKWATER_ADMIN: proxy.adminUrl, BREAKWATER_TOKEN: TOKEN };
    const shell = spawnSync('bash', ['-c', wrapped, 'bash', ...lines], { env, encoding: 'utf8' });
    expect(shell.stdout.split('\n')).toEqual([
      'node',
      'drain',
      '1 2',
      'default',
      expect.stringContaining(id),
      '',
    ]);
  });

  it('says of a taken port which flag changes it: exit code 1', async () => {
    const taken = new URL(await stranger(200, '')).host;
    const free = 'http://127.0.0.1:0';
    const listener = await run(['start', '--listen', `mqtt://${taken}`, '--admin', free]);
    expect(listener.code).toBe(1);
    expect(listener.stderr).toMatch(
      new RegExp(`error: --listen mqtt://${taken}: ${taken} is in use by another program`),
    );
    const admin = await run(['start', '--listen', 'mqtt://127.0.0.1:0', '--admin', `http://${taken}`]);
    expect(admin.code).toBe(1);
    expect(admin.stderr).toMatch(
      new RegExp(`error: --admin http://${taken}: ${taken} is in use by another program`),
    );
  });
});
