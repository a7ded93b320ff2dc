import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';

const persistenceOf = (text: string, cluster = 'default') =>
  parseConfig(`{ cluster: ${cluster}, pools: { default: { persistence: ${text} } } }`, 'test.yaml').pools[0]
    ?.persistence;

test('a cookie of ours, for the browser’s session, is the default', () => {
  expect(persistenceOf('{ by: cookie }')).toEqual({
    by: 'cookie',
    mode: 'insert',
    name: 'breakwater',
    maxAgeSeconds: undefined,
    key: expect.stringMatching(/^[A-Za-z0-9+/]{86}==$/),
  });
  expect(persistenceOf('{ by: cookie, mode: insert, name: lb, expires: 3600 }')).toMatchObject({
    name: 'lb',
    maxAgeSeconds: 3600,
  });
  expect(persistenceOf('{ by: cookie, mode: rewrite, name: JSESSIONID }')).toMatchObject({ mode: 'rewrite' });
});

test('proxies of one cluster have one key, by the secret if there is one', () => {
  const key = (text: string, cluster?: string) => {
    const persistence = persistenceOf(text, cluster);
    return persistence?.by === 'cookie' ? persistence.key : undefined;
  };
  expect(key('{ by: cookie }')).toBe(key('{ by: cookie, expires: 5 }'));
  const keys = [
    ...[key('{ by: cookie }'), key('{ by: cookie }', 'other')],
    ...[key('{ by: cookie, secret: a }'), key('{ by: cookie, secret: b }')],
  ];
  expect(new Set(keys).size).toBe(4);
});

test.each([
  ['{ by: cookie, mode: rewrite }', 'name: is required by mode: rewrite'],
  ['{ by: cookie, mode: rewrite, name: S, expires: 5 }', 'expires: is of use with mode: insert'],
  ['{ by: cookie, name: "a b" }', 'name: must be a cookie name'],
  ['{ by: cookie, expires: 0 }', 'leave it out for a session cookie'],
  ['{ by: cookie, mode: prefix }', 'mode: must be insert or rewrite'],
  ['{ by: client-id, name: lb }', 'name: is of use with by: cookie only'],
  ['{ secret: x }', 'secret: is of use with by: cookie only, not with by: none'],
])('%s: %s', (text, problem) => {
  expect(() => persistenceOf(text)).toThrow(problem);
});
