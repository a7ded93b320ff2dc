import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { run } from '../support/cli.ts';
import { atEnd, temporaryDirectory } from '../support/process.ts';

function file(...lines: readonly string[]): string {
  const path = join(temporaryDirectory(), 'breakwater.yaml');
  writeFileSync(path, lines.join('\n'));
  return path;
}

/** An address of another machine: a block for documentation (RFC 5737). */
const FOREIGN = '192.0.2.1';
const ADMIN = 'admin: { url: "http://127.0.0.1:0" }';

/** A configuration that the schema takes, and what is wrong with it all the same. */
const cases: readonly (readonly [what: string, lines: readonly string[], problem: string])[] = [
  [
    'a listener at an address of another machine',
    ['listeners:', `  - url: mqtt://${FOREIGN}:1883`],
    `line 2, column 5: listeners[0].url: ${FOREIGN} is no address of this machine; give one that is`,
  ],
  [
    'a listener at a name',
    ['listeners:', '  - url: mqtt://broker.example:1883'],
    'line 2, column 5: listeners[0].url: broker.example is a name; give an IP address of this machine, or localhost',
  ],
  [
    'an admin API at an address of another machine',
    ['admin:', `  url: http://${FOREIGN}:9883`, '  token: secret'],
    `line 2, column 3: admin.url: ${FOREIGN} is no address of this machine; give one that is`,
  ],
  [
    'source addresses of another machine',
    ['pools:', '  default:', '    upstream:', `      sourceAddresses: [127.0.0.1, ${FOREIGN}]`],
    `line 4, column 36: pools.default.upstream.sourceAddresses[1]: ${FOREIGN} is no address of this machine; give one that is`,
  ],
  [
    'a listener at a part of the address of another',
    [
      'listeners:',
      '  - url: mqtt://0.0.0.0:28871',
      '  - url: tcp://127.0.0.1:28871',
      '    pool: other',
      'pools: { default: {}, other: {} }',
    ],
    'line 3, column 5: listeners[1].url: address 127.0.0.1:28871 is part of 0.0.0.0:28871 of listeners[0].url',
  ],
  [
    'two spellings of one IPv6 address',
    ['listeners:', '  - url: mqtt://[::1]:28871', '  - url: mqtt://[0:0:0:0:0:0:0:1]:28871'],
    'line 3, column 5: listeners[1].url: address [::1]:28871 is used twice',
  ],
  [
    'a listener at the admin API’s default address',
    ['listeners:', '  - url: mqtt://[::]:9883'],
    'line 2, column 5: listeners[0].url: address [::]:9883 includes 127.0.0.1:9883 of admin.url',
  ],
  [
    'a Redis whose files are missing',
    ['membership:', '  store: redis', '  url: rediss://127.0.0.1:6379?ca=/nowhere/ca.crt'],
    'line 3, column 3: membership.url: the address names a file that cannot be read',
  ],
  [
    'a certificate that is missing',
    [
      'listeners:',
      '  - url: mqtts://127.0.0.1:0',
      '    tls:',
      '      cert: /nowhere/a.crt',
      '      key: /nowhere/a.key',
    ],
    'line 4, column 7: listeners[0].tls.cert: cannot read /nowhere/a.crt: there is no such file',
  ],
];

describe.each(cases)('%s', (_what, lines, problem) => {
  const path = file(
    ...lines,
    ...(lines.some((line) => line.startsWith('admin')) || problem.includes('admin') ? [] : [ADMIN]),
  );
  test.each(['check', 'start'])('is refused by %s with its line', async (command) => {
    const { code, stderr } = await run([command, '-c', path]);
    expect(stderr).toContain(`  ${problem}`);
    expect(stderr).not.toContain('--');
    expect(code).toBe(2);
  });
});

test('a file for another machine can be checked elsewhere', async () => {
  const path = file('listeners:', `  - url: mqtt://${FOREIGN}:1883`, ADMIN);
  expect((await run(['check', '--elsewhere', '-c', path])).code).toBe(0);
});

async function stranger(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => server.close());
  return (server.address() as AddressInfo).port;
}

describe('an address that another program has', () => {
  test.each(['epoll', 'node'])('is said with its line in the file, at a start (%s)', async (engine) => {
    const port = await stranger();
    const path = file(
      `proxy: { engine: ${engine} }`,
      'listeners:',
      '  - url: mqtt://127.0.0.1:0',
      `  - url: mqtt://127.0.0.1:${port}`,
      ADMIN,
    );
    const { code, stderr } = await run(['start', '-c', path]);
    expect(stderr).toBe(
      `error: line 4, column 5: listeners[1].url: 127.0.0.1:${port} is in use by another program; stop it, or choose another address\n`,
    );
    expect(code).toBe(1);
  });

  test('likewise of an HTTP listener, and of the admin API', async () => {
    const port = await stranger();
    const http = file(`listeners: [{ url: "http://127.0.0.1:${port}" }]`, ADMIN);
    expect((await run(['start', '-c', http])).stderr).toContain(
      `line 1, column 15: listeners[0].url: 127.0.0.1:${port} is in use by another program`,
    );
    const admin = file(
      'listeners: [{ url: "mqtt://127.0.0.1:0" }]',
      `admin: { url: "http://127.0.0.1:${port}" }`,
    );
    expect((await run(['start', '-c', admin])).stderr).toContain(
      `line 2, column 10: admin.url: 127.0.0.1:${port} is in use by another program`,
    );
  });

  test('that is this one is said to be ours, at a reload', async () => {
    const breakwater = await startBreakwater({});
    const { port } = breakwater;
    breakwater.rewrite({ listeners: [{ url: 'mqtt://127.0.0.1:0' }, { url: `mqtt://127.0.0.1:${port}` }] });
    await expect(breakwater.api('reload', { method: 'POST' })).rejects.toThrow(
      new RegExp(
        `listeners\\[1\\]\\.url: port ${port} is that of mqtt://127.0.0.1:${port} of this proxy; choose another`,
      ),
    );
  });
});

test.each(['epoll', 'node'])('localhost is 127.0.0.1, on the %s engine and of every kind', async (engine) => {
  const breakwater = await startBreakwater({
    proxy: { engine },
    listeners: [{ url: 'mqtt://localhost:0' }, { url: 'http://localhost:0', pool: 'web' }],
    pools: { default: {}, web: {} },
    admin: { url: 'http://localhost:0' },
  });
  const ports = [...breakwater.ports, Number(new URL(breakwater.adminUrl).port)];
  for (const port of ports) {
    await expect(once(atHost('127.0.0.1', port), 'connect')).resolves.toBeDefined();
    await expect(once(atHost('::1', port), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  }
});

function atHost(host: string, port: number) {
  const socket = connect({ host, port });
  atEnd(() => socket.destroy());
  return socket;
}
