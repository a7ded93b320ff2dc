import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endOfHead, isNoRequest, readHead } from '../../../../src/connection/websocket/request.ts';
import {
  checkUpgrade,
  type UpgradeAddition,
  type UpgradeTerms,
} from '../../../../src/connection/websocket/upgrade.ts';

/** The example of RFC 6455, 1.3, with our sub-protocol. */
const good = {
  Host: 'broker.example.com:8083',
  Upgrade: 'websocket',
  Connection: 'keep-alive, Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Protocol': 'chat, mqtt',
  Origin: 'https://app.example.com',
};
const terms: UpgradeTerms = { path: '/mqtt', origins: ['https://app.example.com'] };

function request(changes: Record<string, string | undefined> = {}, line = 'GET /mqtt HTTP/1.1'): string {
  const fields = Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined);
  return `${[line, ...fields.map(([name, value]) => `${name}: ${value}`)].join('\r\n')}\r\n\r\n`;
}

const headOf = (text: string) => {
  const bytes = Buffer.from(text, 'latin1');
  return readHead(bytes, endOfHead(bytes, bytes.length, 0));
};

function check(text: string, to = terms) {
  const head = headOf(text);
  return head === undefined ? undefined : checkUpgrade(head, to);
}
function responseTo(text: string, to = terms, addition: UpgradeAddition = { headers: [] }): string {
  const result = check(text, to);
  return (result?.kind === 'upgrade' ? result.response(addition) : result?.response) ?? '';
}
const statusOf = (text: string, to = terms) => responseTo(text, to).slice(9, 12);

test('the example of the standard is answered as there', () => {
  expect(check(request())).toMatchObject({
    kind: 'upgrade',
    request: { path: '/mqtt', host: 'broker.example.com', origin: 'https://app.example.com' },
    cookie: undefined,
  });
  expect(responseTo(request())).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
  );
});

test.each<[string, string, Record<string, string | undefined>, string?]>([
  ['no Host', '400', { Host: undefined }],
  ['two hosts', '400', { Host: 'a, b' }],
  ['a host with a path', '400', { Host: 'a/b' }],
  ['another path', '404', {}, 'GET /other HTTP/1.1'],
  ['a path that only begins so', '404', {}, 'GET /mqtt/a HTTP/1.1'],
  ['POST', '405', {}, 'POST /mqtt HTTP/1.1'],
  ['a body', '400', { 'Content-Length': '3' }],
  ['a chunked body', '400', { 'Transfer-Encoding': 'chunked' }],
  ['no Upgrade', '426', { Upgrade: undefined }],
  ['another protocol', '426', { Upgrade: 'h2c' }],
  ['no Connection: Upgrade', '426', { Connection: 'keep-alive' }],
  ['an old version', '426', { 'Sec-WebSocket-Version': '8' }],
  ['no key', '400', { 'Sec-WebSocket-Key': undefined }],
  ['a short key', '400', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZQ==' }],
  ['two keys', '400', { 'Sec-WebSocket-Key': `${good['Sec-WebSocket-Key']}, ${good['Sec-WebSocket-Key']}` }],
  ['a page of elsewhere', '403', { Origin: 'https://evil.example.com' }],
  ['a page of a sandbox', '403', { Origin: 'null' }],
  ['no sub-protocol [MQTT-6.0.0-3]', '400', { 'Sec-WebSocket-Protocol': undefined }],
  ['other sub-protocols', '400', { 'Sec-WebSocket-Protocol': 'chat, mqtts' }],
])('%s is refused with %s', (_what, status, changes, line) => {
  expect(statusOf(request(changes, line))).toBe(status);
});

test.each<[string, Record<string, string | undefined>, string?]>([
  ['words in any case', { Upgrade: 'WebSocket', Connection: 'UPGRADE' }],
  ['the old sub-protocol', { 'Sec-WebSocket-Protocol': 'mqttv3.1' }],
  ['no origin: no browser', { Origin: undefined }],
  ['an origin in capitals', { Origin: 'https://APP.example.com' }],
  ['a query', {}, 'GET /mqtt?token=1 HTTP/1.1'],
  ['a path that is written otherwise', {}, 'GET /x/../%6dqtt HTTP/1.1'],
  ['an IPv6 host', { Host: '[::1]:8083' }],
])('%s is welcome', (_what, changes, line) => {
  expect(statusOf(request(changes, line))).toBe('101');
});

test('a refusal says why, and what would do', () => {
  const response = responseTo(request({ 'Sec-WebSocket-Version': '8' }));
  expect(response).toMatch(/\r\nSec-WebSocket-Version: 13\r\n/);
  expect(response).toMatch(/\r\nConnection: Upgrade, close\r\n/);
  const [head = '', body = ''] = response.split('\r\n\r\n');
  expect(head).toContain(`Content-Length: ${body.length}`);
});

test('a path with * takes whatever begins so', () => {
  const plant = { path: '/plant/*' };
  expect(statusOf(request({}, 'GET /plant/7 HTTP/1.1'), plant)).toBe('101');
  expect(statusOf(request({}, 'GET /plants HTTP/1.1'), plant)).toBe('404');
  expect(statusOf(request({}, 'GET /plant/../admin HTTP/1.1'), plant)).toBe('404');
});

test('persistence gets all cookies, and adds its own', () => {
  const cookies = request({ Cookie: 'a=1' }).replace('\r\n\r\n', '\r\nCookie: b=2\r\n\r\n');
  expect(check(cookies)).toMatchObject({ cookie: 'a=1; b=2' });
  const response = responseTo(cookies, terms, { headers: [['Set-Cookie', 'c=3; HttpOnly']] });
  expect(response).toContain('\r\nSet-Cookie: c=3; HttpOnly\r\n\r\n');
});

describe('a head', () => {
  test.each([
    ['HTTP/1.0', request({}, 'GET /mqtt HTTP/1.0')],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\n'],
    ['a target that is neither path nor URL', request({}, 'GET mqtt HTTP/1.1')],
    ['an absolute form without a host', request({}, 'GET http:///mqtt HTTP/1.1')],
    ['two empty lines before it', `\r\n\r\n${request()}`],
    ['a space in the target', request({}, 'GET /mqtt x HTTP/1.1')],
    ['a method in small letters', request({}, 'get /mqtt HTTP/1.1')],
    ['a folded line', request({ Host: 'a\r\n b' })],
    ['space before the colon', request({ 'Host ': 'a' })],
    ['no colon', request().replace('Host: ', 'Host ')],
    ['no name', request({ '': 'x' })],
    ['a bare LF', request().replace('\r\nHost', '\nHost')],
    ['a bare CR', request({ Cookie: 'a\rb' })],
    ['a NUL', request({ Cookie: 'a\0b' })],
    ['more than 100 fields', request({ Cookie: `1${'\r\na: b'.repeat(100)}` })],
  ])('with %s is malformed', (_what, text) => {
    expect(headOf(text)).toBeUndefined();
  });

  test('is found wherever the pieces end', () => {
    const bytes = Buffer.from(`${request()}\x82\x80`, 'latin1');
    const end = bytes.length - 2;
    for (let length = 1; length < end; length++) expect(endOfHead(bytes, length, length - 1)).toBe(-1);
    for (let searched = 0; searched < end; searched++)
      expect(endOfHead(bytes, bytes.length, searched)).toBe(end);
  });

  test('of any bytes is read or malformed, and never throws', () => {
    const noise = fc.array(
      fc.constantFrom('\r', '\n', '\r\n', ' ', ':', 'GET / HTTP/1.1', 'a', '\t', '\0', '\xff'),
    );
    const begin = fc.constantFrom('', 'GET / HTTP/1.1\r\n', 'GET / HTTP/1.1\r\na:');
    let fields = 0;
    fc.assert(
      fc.property(begin, noise, (first, parts) => {
        const bytes = Buffer.from(`${first}${parts.join('')}\r\n\r\n`, 'latin1');
        const head = readHead(bytes, endOfHead(bytes, bytes.length, 0));
        for (const [name, value] of head?.fields ?? []) {
          expect(name).toMatch(/^[a-z/. 0-9]+$/);
          expect(value).not.toMatch(/[\r\n\0]/);
          fields++;
        }
      }),
      { numRuns: 2_000 },
    );
    expect(fields).toBeGreaterThan(100);
  });

  test('in absolute form names the host itself (RFC 9112, 3.2.2)', () => {
    const head = headOf(request({ Host: 'other' }, 'GET http://broker.example.com/mqtt?a=1 HTTP/1.1'));
    expect(head?.target).toBe('/mqtt?a=1');
    expect(head?.fields.get('host')).toBe('broker.example.com');
    expect(headOf(request({}, 'GET https://a HTTP/1.1'))?.target).toBe('/');
    expect(statusOf(request({}, 'GET wss://a/mqtt HTTP/1.1'))).toBe('101');
  });

  test('may have an empty line before it (RFC 9112, 2.2)', () => {
    expect(statusOf(`\r\n${request()}`)).toBe('101');
  });

  test('is no head at the first byte, where MQTT or TLS comes', () => {
    const isNone = (text: string) => isNoRequest(Buffer.from(text, 'latin1'), text.length);
    expect(['\x10', '\x16', 'G'].map(isNone)).toEqual([true, true, false]);
    expect(['\r', '\r\n', '\r\nG', '\r\n\x10', '\rG', '\n'].map(isNone)).toEqual([
      ...[false, false, false],
      ...[true, true, true],
    ]);
  });
});
