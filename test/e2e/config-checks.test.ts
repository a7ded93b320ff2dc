import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
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

/** A configuration that the schema takes, and this machine does not. */
const foreign = file(
  'listeners:',
  `  - url: mqtt://${FOREIGN}:1883`,
  '  - url: mqtt://broker.example:1883',
  'admin:',
  `  url: http://${FOREIGN}:9883`,
  '  token: secret',
  'pools:',
  '  default:',
  '    upstream:',
  `      sourceAddresses: [127.0.0.1, ${FOREIGN}]`,
  'membership:',
  '  store: redis',
  '  url: rediss://127.0.0.1:6379?ca=/nowhere/ca.crt',
);

/** Likewise; a start looks for certificates behind the rest. */
const withoutCertificate = file(
  'listeners:',
  '  - url: mqtts://127.0.0.1:0',
  '    tls:',
  '      cert: /nowhere/a.crt',
  '      key: /nowhere/a.key',
  ADMIN,
);

const cases: readonly (readonly [what: string, path: string, problems: readonly string[]])[] = [
  [
    'what another machine has: addresses, names, the files of a Redis',
    foreign,
    [
      `line 2, column 5: listeners[0].url: ${FOREIGN} is no address of this machine; give one that is`,
      'line 3, column 5: listeners[1].url: broker.example is a name; give an IP address of this machine, or localhost',
      `line 5, column 3: admin.url: ${FOREIGN} is no address of this machine; give one that is`,
      `line 10, column 36: pools.default.upstream.sourceAddresses[1]: ${FOREIGN} is no address of this machine; give one that is`,
      'line 13, column 3: membership.url: the address names a file that cannot be read',
    ],
  ],
  [
    'a certificate that is missing',
    withoutCertificate,
    ['line 4, column 7: listeners[0].tls.cert: cannot read /nowhere/a.crt: there is no such file'],
  ],
];

describe.each(cases)('%s', (_what, path, problems) => {
  test.each(['check', 'start'])('is refused by %s with its line', async (command) => {
    const { code, stderr } = await run([command, '-c', path]);
    for (const problem of problems) expect(stderr).toContain(`  ${problem}`);
    expect(stderr).not.toContain('--');
    expect(code).toBe(2);
  });
});

async function stranger(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => server.close());
  return (server.address() as AddressInfo).port;
}

test.each([
  ['epoll', 'mqtt'],
  ['node', 'http'],
])('an address that another program has is said with its line in the file, at a start (%s, %s)', async (engine, scheme) => {
  const port = await stranger();
  const path = file(
    `proxy: { engine: ${engine} }`,
    'listeners:',
    '  - url: mqtt://127.0.0.1:0',
    `  - url: ${scheme}://127.0.0.1:${port}`,
    '    pool: other',
    'pools: { default: {}, other: {} }',
    ADMIN,
  );
  const { code, stderr } = await run(['start', '-c', path]);
  expect(stderr).toBe(
    `error: line 4, column 5: listeners[1].url: 127.0.0.1:${port} is in use by another program; stop it, or choose another address\n`,
  );
  expect(code).toBe(1);
});

describe.each(['epoll', 'node'])('on the %s engine', (engine) => {
  const config = {
    proxy: { engine },
    listeners: [{ url: 'mqtt://localhost:0' }, { url: 'http://localhost:0', pool: 'web' }],
    pools: { default: {}, web: {} },
    admin: { url: 'http://localhost:0' },
  };
  let breakwater: Breakwater;
  beforeAll(async () => {
    breakwater = await startBreakwater(config);
  });

  test('localhost is 127.0.0.1, of every kind', async () => {
    const ports = [...breakwater.ports, Number(new URL(breakwater.adminUrl).port)];
    for (const port of ports) {
      await expect(once(atHost('127.0.0.1', port), 'connect')).resolves.toBeDefined();
      await expect(once(atHost('::1', port), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    }
  });

  test('an address that the proxy has itself is said to be its own, at a reload', async () => {
    const { port, url } = breakwater;
    breakwater.rewrite({ ...config, listeners: [...config.listeners, { url: `mqtt://127.0.0.1:${port}` }] });
    await expect(breakwater.api('reload', { method: 'POST' })).rejects.toThrow(
      `listeners[2].url: port ${port} is that of ${url} of this proxy; choose another`,
    );
  });
});

function atHost(host: string, port: number) {
  const socket = connect({ host, port });
  atEnd(() => socket.destroy());
  return socket;
}
