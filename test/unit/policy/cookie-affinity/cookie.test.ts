import { expect, test } from 'vitest';
import { createCookiePersistence } from '../../../../src/policy/cookie-affinity/cookie.ts';
import { createNodeMarks, deriveMarkKey } from '../../../../src/policy/cookie-affinity/node-mark.ts';

const key = deriveMarkKey('a secret', 'default', 'web');
const marks = createNodeMarks(key);
const [a, b] = [marks.seal('a'), marks.seal('b')];
const inserting = (maxAgeSeconds?: number) =>
  createCookiePersistence({ mode: 'insert', name: 'lb', maxAgeSeconds, key });
const rewriting = createCookiePersistence({ mode: 'rewrite', name: 'SID', maxAgeSeconds: undefined, key });

test('insert: a device without a cookie gets one that names its node', () => {
  const recalled = inserting().recall(undefined);
  expect(recalled.nodes).toEqual([]);
  expect(inserting().answer(recalled, 'a', [], false)).toEqual([`lb=${a}; Path=/; HttpOnly; SameSite=Lax`]);
});

test('insert: over TLS the cookie is secure', () => {
  const recalled = inserting().recall(undefined);
  expect(inserting().answer(recalled, 'a', [], true)).toEqual([
    `lb=${a}; Path=/; HttpOnly; SameSite=Lax; Secure`,
  ]);
});

test('insert: the cookie of a device at its node is not set again, and no node sees it', () => {
  const recalled = inserting().recall(`x=1; lb=${a}; y=2`);
  expect(recalled).toEqual({ nodes: ['a'], cookie: 'x=1; y=2', value: undefined });
  expect(inserting().answer(recalled, 'a', ['x=3'], false)).toEqual(['x=3']);
  expect(inserting().recall(`lb=${a}`).cookie).toBeUndefined();
});

test('insert: a cookie that expires counts anew with every answer', () => {
  const recalled = inserting(3600).recall(`lb=${a}`);
  expect(inserting(3600).answer(recalled, 'a', [], false)).toEqual([
    `lb=${a}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax`,
  ]);
});

test('insert: a device that was placed elsewhere gets a new cookie', () => {
  const recalled = inserting().recall(`lb=${a}`);
  expect(inserting().answer(recalled, 'b', [], false)).toEqual([`lb=${b}; Path=/; HttpOnly; SameSite=Lax`]);
});

test('insert: a forged cookie names no node, and goes no further', () => {
  expect(inserting().recall(`lb=${a}x; z=1`)).toEqual({ nodes: [], cookie: 'z=1', value: undefined });
});

test('insert: cookies whose names only resemble ours pass', () => {
  expect(inserting().recall('lbx=1; xlb=2; LB=3')).toEqual({
    nodes: [],
    cookie: 'lbx=1; xlb=2; LB=3',
    value: undefined,
  });
});

test('rewrite: the node’s mark goes before the value of its cookie, and the attributes stay', () => {
  const set = ['x=1; Path=/', 'SID=abc~1; Path=/app; Max-Age=60; HttpOnly', 'SID="q"; Secure'];
  expect(rewriting.answer(rewriting.recall(undefined), 'a', set, false)).toEqual([
    'x=1; Path=/',
    `SID=${a}~abc~1; Path=/app; Max-Age=60; HttpOnly`,
    `SID="${a}~q"; Secure`,
  ]);
});

test('rewrite: the node gets its own value back', () => {
  expect(rewriting.recall(`x=1; SID=${a}~abc~1; y`)).toEqual({
    nodes: ['a'],
    cookie: 'x=1; SID=abc~1; y',
    value: 'abc~1',
  });
  expect(rewriting.recall(`SID="${a}~q"`)).toMatchObject({ nodes: ['a'], cookie: 'SID="q"' });
});

test('rewrite: nothing is set that the node did not set', () => {
  expect(rewriting.answer(rewriting.recall(undefined), 'a', [], false)).toEqual([]);
  expect(rewriting.answer(rewriting.recall(`SID=${a}~abc`), 'a', ['x=1'], false)).toEqual(['x=1']);
});

test('rewrite: a cookie that is taken away stays taken away', () => {
  const gone = 'SID=; Max-Age=0';
  expect(rewriting.answer(rewriting.recall(`SID=${a}~abc`), 'b', [gone], false)).toEqual([gone]);
});

test('rewrite: a device that was placed elsewhere gets the new node’s mark before the value it has', () => {
  const recalled = rewriting.recall(`SID=${a}~abc`);
  expect(rewriting.answer(recalled, 'b', [], true)).toEqual([
    `SID=${b}~abc; Path=/; HttpOnly; SameSite=Lax; Secure`,
  ]);
  expect(rewriting.answer(recalled, 'b', ['SID=new; Path=/app'], true)).toEqual([`SID=${b}~new; Path=/app`]);
});

test('rewrite: a value without a mark, or with a forged one, reaches the node as it is', () => {
  for (const value of ['abc', 'x~abc', `${a}x~abc`, '~', '"']) {
    expect(rewriting.recall(`SID=${value}`)).toEqual({ nodes: [], cookie: `SID=${value}`, value });
  }
});

test('rewrite: of cookies for several paths all nodes are told', () => {
  expect(rewriting.recall(`SID=${a}~1; SID=${b}~2`)).toEqual({
    nodes: ['a', 'b'],
    cookie: 'SID=1; SID=2',
    value: '1',
  });
});
