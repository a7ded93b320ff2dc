import { expect, test } from 'vitest';
import { allTokens } from '../../../src/config/admin.ts';
import type { Flags } from '../../../src/config/flags.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { ConfigError, formatProblem } from '../../../src/config/problems.ts';

const viewer = { name: 'prometheus', role: 'viewer', token: 'v1ewer' };
const operator = { name: 'night-shift', role: 'operator', token: 'op3rator' };
const parse = (admin: object, flags: Flags = {}) =>
  parseConfig(JSON.stringify({ admin }), 'test.yaml', flags);

function problemsOf(admin: object): string[] {
  try {
    parse(admin);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(formatProblem);
  }
}

test('admin.token is that of an admin, beside those of other roles', () => {
  const { admin } = parse({ token: 's3cret', tokens: [viewer, operator] });
  expect(allTokens(admin)).toEqual([{ name: 'admin', role: 'admin', token: 's3cret' }, viewer, operator]);
  expect(allTokens(parse({}).admin)).toEqual([]);
});

test('a token may come from the environment', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what people write
  const { admin } = parse({ tokens: [{ ...viewer, token: '${VIEWER}' }] }, { environment: { VIEWER: 'x' } });
  expect(allTokens(admin)).toEqual([{ ...viewer, token: 'x' }]);
});

test('any token opens the API beyond loopback', () => {
  const url = 'http://0.0.0.0:9883';
  expect(problemsOf({ url, tokens: [viewer] })).toEqual([]);
  expect(problemsOf({ url, tokens: [] })).toEqual([expect.stringContaining('needs a token')]);
});

test('BREAKWATER_TOKEN, which may be that of a viewer, makes no admin where the file has tokens', () => {
  const given: Flags = { adminToken: 'from the environment' };
  expect(allTokens(parse({ tokens: [viewer] }, given).admin)).toEqual([viewer]);
  expect(allTokens(parse({ tokens: [] }, given).admin)).toMatchObject([{ role: 'admin' }]);
});

test.each([
  [{ tokens: [{ ...viewer, role: 'root' }] }, "role: must be viewer, operator or admin, not 'root'"],
  [{ tokens: [{ ...viewer, token: '' }] }, 'token: must be text of 1 to 1024 characters'],
  [{ tokens: [viewer, { ...operator, name: viewer.name }] }, 'is that of admin.tokens[0] too'],
  [{ tokens: [viewer, { ...operator, token: viewer.token }] }, 'is that of admin.tokens[0] too'],
  [{ token: viewer.token, tokens: [viewer] }, 'is that of admin.token too'],
  [{ token: 's3cret', tokens: [{ ...viewer, name: 'admin' }] }, 'is that of admin.token too'],
  [{ tokens: Array(65).fill(viewer) }, 'must hold at most 64 tokens'],
])('%j is refused, and quotes no token', (admin, message) => {
  const problems = problemsOf(admin).join('\n');
  expect(problems).toContain(message);
  expect(problems).not.toMatch(/v1ewer|op3rator|s3cret/);
});

const tls = { cert: 'a.crt', key: '/etc/a.key' };
const https = 'https://127.0.0.1:9883';

test('https has its port and files, relative to the folder of the configuration; certificates are not asked for', () => {
  const text = JSON.stringify({ admin: { url: 'https://127.0.0.1', tls } });
  const { admin } = parseConfig(text, '/etc/breakwater/b.yaml');
  expect(admin).toMatchObject({ url: https, port: 9883, clients: [] });
  expect(admin.tls).toMatchObject({
    certificates: [{ cert: '/etc/breakwater/a.crt', key: '/etc/a.key' }],
    clientAuth: 'none',
  });
  expect(parse({}).admin.tls).toBeUndefined();
});

test('clients of an authority are asked for a certificate, and may be who guards an address beyond loopback', () => {
  const clients = [{ cn: 'alice', role: 'operator' }];
  const { admin } = parse({ url: 'https://0.0.0.0:1', tls: { ...tls, clientCa: 'ca.crt', clients } });
  expect(admin).toMatchObject({ clients, tls: { clientAuth: 'request', clientCa: 'ca.crt' } });
});

test.each([
  [{ url: https }, 'admin.tls: is required for https'],
  [{ tls }, 'admin.tls: is of no use to http'],
  [{ url: https, tls: { cert: 'a' } }, 'admin.tls.key: is required'],
  [{ url: https, tls: { ...tls, clientAuth: 'require' } }, 'admin.tls.clientCa: is required'],
  [
    { url: https, tls: { ...tls, clients: [{ cn: 'a', role: 'viewer' }] } },
    'admin.tls.clientCa: is required',
  ],
  [
    {
      url: https,
      tls: {
        ...tls,
        clientCa: 'c',
        clients: [
          { cn: 'a', role: 'viewer' },
          { cn: 'a', role: 'admin' },
        ],
      },
    },
    'admin.tls.clients[1].cn: is that of admin.tls.clients[0] too',
  ],
  [{ url: 'https://0.0.0.0:9883', tls }, 'use https://127.0.0.1:9883'],
])('%j says what is wrong', (admin, message) => {
  expect(problemsOf(admin).join('\n')).toContain(message);
});
