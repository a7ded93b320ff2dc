import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../support/cli.ts';
import { atEnd, freePort, temporaryDirectory } from '../support/process.ts';

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
    client: ['list', 'inspect', 'kick'],
    proxy: ['list'],
  };
  const commands = [
    ...['start', 'check', 'demo', 'broker', 'status', 'node', 'client', 'proxy'].map((name) => [name]),
    ...Object.entries(families).flatMap(([family, names]) => names.map((name) => [family, name])),
  ];

  it('gives every command a --help with an example, on standard output, exit code 0', async () => {
    const answers = await Promise.all(commands.map((command) => run([...command, '--help'])));
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
    [['nod'], "unknown command 'nod'"],
    [['node'], 'Usage: breakwater node'],
    [['node', 'add'], "missing required argument 'url'"],
    [['node', 'list', '--colour'], "unknown option '--colour'"],
    [['node', 'weight', 'a', '101'], 'whole number from 1 to 100'],
    [['node', 'list', '--admin', 'nonsense'], '--admin must look like http://'],
    [['demo', '--brokers', 'x'], 'whole number from 1 to 16'],
    [['check'], "required option '-c, --config <file>'"],
    [
      ['start', '--strategy', 'fastest', '--listen', 'wss://a:1'],
      "scheme 'wss' is not supported yet; use mqtt",
    ],
    [['start', '-c', '/nowhere/breakwater.yaml'], 'cannot read the configuration: ENOENT'],
    [['start', '--admin', 'http://0.0.0.0:9883'], 'needs a token'],
  ])('breakwater %j is wrong usage: exit code 2', async (args, message) => {
    const { code, stdout, stderr } = await run(args, { BREAKWATER_TOKEN: '' });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });
});

describe('breakwater check', () => {
  const bad = 'cluster: a b\npools: { default: { strategy: fastest } }\n';

  it('accepts a good file', async () => {
    const path = file('pools: { default: { nodes: [{ url: mqtt://10.0.0.1 }] } }');
    expect(await run(['check', '-c', path])).toEqual({
      code: 0,
      stdout: `${path} is valid: listeners 1, pools 1, nodes 1\n`,
      stderr: '',
    });
  });

  it('lists everything that is wrong in a bad one, each with line and path: exit code 2', async () => {
    const path = file(bad);
    const { code, stdout, stderr } = await run(['check', '-c', path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: ${path}: 2 problems\n  line 1: cluster: must be`);
    expect(stderr).toContain('\n  line 2: pools.default.strategy: must be');
  });

  it('lists it for machines with --json', async () => {
    const { code, stdout } = await run(['check', '-c', file(bad), '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      valid: false,
      problems: [
        { path: 'cluster', line: 1 },
        { path: 'pools.default.strategy', line: 2 },
      ],
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
    const { code, stderr } = await run(['status', '--admin', await stranger(status, body)]);
    expect(code).toBe(1);
    expect(stderr).toContain('something else than the admin API answered');
  });
});
