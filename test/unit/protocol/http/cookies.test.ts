import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  formatCookies,
  isCookieName,
  parseCookies,
  splitSetCookie,
} from '../../../../src/protocol/http/cookies.ts';

test('pairs in their order, with values as they came (RFC 6265, 5.4)', () => {
  expect(parseCookies('a=1; b="two"; c=x=y;d=; e')).toEqual([
    { name: 'a', value: '1' },
    { name: 'b', value: '"two"' },
    { name: 'c', value: 'x=y' },
    { name: 'd', value: '' },
    { name: '', value: 'e' },
  ]);
});

test('what is read and written again is the same header', () => {
  const token = fc.stringMatching(/^[A-Za-z0-9_]{1,8}$/);
  const value = fc.stringMatching(/^[!#-+\--:<-[\]-~]{0,16}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(token, value), { maxLength: 8 }), (pairs) => {
      const header = pairs.map(([name, text]) => `${name}=${text}`).join('; ');
      expect(formatCookies(parseCookies(header))).toBe(header);
    }),
  );
});

test('a Set-Cookie header keeps its attributes (RFC 6265, 5.2)', () => {
  expect(splitSetCookie('id=a=b; Path=/x; HttpOnly')).toEqual({
    name: 'id',
    value: 'a=b',
    attributes: '; Path=/x; HttpOnly',
  });
  expect(splitSetCookie('id=1')).toEqual({ name: 'id', value: '1', attributes: '' });
});

test.each(['', 'a b', 'a=b', 'a;b', 'ü', 'a,b', '"a"'])('no cookie may be called %j', (name) => {
  expect(isCookieName(name)).toBe(false);
});
