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
    key: undefined,
  });
  expect(persistenceOf('{ by: cookie, mode: insert, name: lb, expires: 3600 }')).toMatchObject({
    name: 'lb',
    maxAgeSeconds: 3600,
  });
  expect(persistenceOf('{ by: cookie, mode: rewrite, name: JSESSIONID }')).toMatchObject({ mode: 'rewrite' });
});

test('with a secret the key is of it, of the cluster and of the pool; without one the cluster makes its own', () => {
  const key = (text: string, cluster?: string) => {
    const persistence = persistenceOf(text, cluster);
    return persistence?.by === 'cookie' ? persistence.key : undefined;
  };
  expect(key('{ by: cookie }')).toBeUndefined();
  expect(key('{ by: cookie, secret: a }')).toBe(key('{ by: cookie, secret: a, expires: 5 }'));
  const keys = [
    key('{ by: cookie, secret: a }'),
    key('{ by: cookie, secret: b }'),
    key('{ by: cookie, secret: a }', 'c'),
  ];
  expect(new Set(keys).size).toBe(3);
  for (const each of keys) expect(each).toMatch(/^[A-Za-z0-9+/]{86}==$/);
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
