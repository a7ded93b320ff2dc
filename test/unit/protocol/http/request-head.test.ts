import { expect, test } from 'vitest';
import { readHead } from '../../../../src/protocol/http/request-head.ts';
import { asksForWebSocket, isUpgraded, upgradeRefusal } from '../../../../src/protocol/http/upgrade.ts';

const read = (target: string, fields: string[] = ['Host', 'a'], method = 'GET', version = '1.1') =>
  readHead({ method, target, version, fields });

test('a plain request', () => {
  expect(read('/x?y=1', ['HOST', 'A.example:8080'])).toEqual({
    method: 'GET',
    target: '/x?y=1',
    authority: 'A.example:8080',
    host: 'a.example',
    path: '/x',
    isChunked: false,
    contentLength: 0,
  });
});

test('the absolute form overrides Host (RFC 9112, 3.2.2)', () => {
  expect(read('http://b.example:81?q')).toMatchObject({
    target: '/?q',
    authority: 'b.example:81',
    host: 'b.example',
  });
  expect(read('HTTPS://b.example/x/y')).toMatchObject({ target: '/x/y', host: 'b.example' });
});

test('hosts of all kinds', () => {
  for (const host of ['[2001:db8::1]:80', '[::1]', 'a_b.example', '192.0.2.1:8080', '']) {
    expect(read('/', ['Host', host])).toMatchObject({ authority: host });
  }
});

test('HTTP/1.0 needs no Host, and OPTIONS may ask the whole server', () => {
  expect(read('/', [], 'GET', '1.0')).toMatchObject({ authority: '', host: '' });
  expect(read('*', ['Host', 'a'], 'OPTIONS')).toMatchObject({ target: '*', path: '*' });
});

test('bodies', () => {
  expect(read('/', ['Host', 'a', 'Content-Length', '12'], 'POST')).toMatchObject({ contentLength: 12 });
  expect(read('/', ['Host', 'a', 'transfer-encoding', 'Chunked'], 'POST')).toMatchObject({ isChunked: true });
});

test.each([
  [400, 'two hosts', '/', ['Host', 'a', 'host', 'a'], 'GET', '1.1'],
  [400, 'no host', '/', [], 'GET', '1.1'],
  [400, 'a host with a path', '/', ['Host', 'a/b'], 'GET', '1.1'],
  [400, 'a host with a user', '/', ['Host', 'me@a'], 'GET', '1.1'],
  [400, 'a user in the target', 'http://me@a/', ['Host', 'a'], 'GET', '1.1'],
  [400, 'another scheme', 'ftp://a/', ['Host', 'a'], 'GET', '1.1'],
  [400, 'no target', 'x', ['Host', 'a'], 'GET', '1.1'],
  [400, '* of GET', '*', ['Host', 'a'], 'GET', '1.1'],
  [400, 'two lengths', '/', ['Host', 'a', 'Content-Length', '1', 'Content-Length', '1'], 'POST', '1.1'],
  [400, 'a list of lengths', '/', ['Host', 'a', 'Content-Length', '1, 1'], 'POST', '1.1'],
  [400, 'a signed length', '/', ['Host', 'a', 'Content-Length', '+1'], 'POST', '1.1'],
  [400, 'chunks in HTTP/1.0', '/', ['Host', 'a', 'Transfer-Encoding', 'chunked'], 'POST', '1.0'],
  [501, 'a coding besides', '/', ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked'], 'POST', '1.1'],
  [501, 'chunked twice', '/', ['Host', 'a', ...twice('Transfer-Encoding', 'chunked')], 'POST', '1.1'],
  [405, 'TRACE', '/', ['Host', 'a'], 'TRACE', '1.1'],
  [405, 'CONNECT', 'a:80', ['Host', 'a'], 'CONNECT', '1.1'],
  [505, 'another version', '/', ['Host', 'a'], 'GET', '2.0'],
  [431, 'too many fields', '/', Array.from({ length: 202 }, () => 'x'), 'GET', '1.1'],
] as const)('%i: %s', (status, _what, target, fields, method, version) => {
  expect(read(target, [...fields], method, version)).toMatchObject({ status, detail: expect.any(String) });
});

function twice(name: string, value: string): string[] {
  return [name, value, name, value];
}

test.each([
  ['/admin', '/admin'],
  ['/x/../admin?/..', '/admin'],
  ['//admin', '/admin'],
  ['/%61dmin', '/admin'],
  ['/x/%2e%2E/admin/.', '/admin/'],
  ['/../../admin/', '/admin/'],
  ['/a%2fb%7E', '/a%2Fb~'],
  ['/', '/'],
  ['/..', '/'],
  ['/%', '/%'],
])('rules see the path of %s as %s', (target, path) => {
  expect(read(target)).toMatchObject({ path });
});

test.each([
  [undefined, 'GET', ['Upgrade', 'WebSocket']],
  [400, 'POST', ['Upgrade', 'websocket']],
  [400, 'GET', ['Upgrade', 'websocket', 'Content-Length', '5']],
  [400, 'GET', ['Upgrade', 'websocket', 'Transfer-Encoding', 'chunked']],
] as const)('upgrade, %s: %s with %j', (status, method, more) => {
  const fields = ['Host', 'a', 'Connection', 'Upgrade', ...more];
  const request = read('/', fields, method);
  if ('status' in request) throw new Error(request.detail);
  expect(asksForWebSocket(fields)).toBe(true);
  expect(upgradeRefusal(request)?.status).toBe(status);
});

test.each([
  [['Upgrade', 'h2c']],
  [['Upgrade', 'websocket, h2c']],
  [['Upgrade', 'h2c', 'Upgrade', 'websocket']],
])('%j asks for something else, which is no concern of ours (RFC 9110, 7.8)', (fields) =>
  expect(asksForWebSocket(['Host', 'a', 'Connection', 'Upgrade', ...fields])).toBe(false));

test('a node has upgraded when both of its fields say so', () => {
  expect(isUpgraded(['Upgrade', 'websocket', 'Connection', 'keep-alive, Upgrade'])).toBe(true);
  expect(isUpgraded(['Upgrade', 'websocket'])).toBe(false);
  expect(isUpgraded(['Upgrade', 'h2c', 'Connection', 'Upgrade'])).toBe(false);
});
