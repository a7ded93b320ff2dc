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
  [{ tokens: [viewer, { ...operator, name: viewer.name }] }, 'is that of admin.tokens.0 too'],
  [{ tokens: [viewer, { ...operator, token: viewer.token }] }, 'is that of admin.tokens.0 too'],
  [{ token: viewer.token, tokens: [viewer] }, 'is that of admin.token too'],
  [{ token: 's3cret', tokens: [{ ...viewer, name: 'admin' }] }, 'is that of admin.token too'],
  [{ tokens: Array(65).fill(viewer) }, 'must hold at most 64 tokens'],
])('%j is refused, and quotes no token', (admin, message) => {
  const problems = problemsOf(admin).join('\n');
  expect(problems).toContain(message);
  expect(problems).not.toMatch(/v1ewer|op3rator|s3cret/);
});
