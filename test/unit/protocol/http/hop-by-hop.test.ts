import { expect, test } from 'vitest';
import { connectionOptions, endToEnd } from '../../../../src/protocol/http/hop-by-hop.ts';

const keepAll = () => false;

test('fields of one connection stay on it, in whatever case (RFC 9110, 7.6.1)', () => {
  const fields = [
    ...['Host', 'a', 'CONNECTION', 'close', 'Keep-Alive', 'timeout=5', 'TE', 'trailers', 'Trailer', 'x'],
    ...['Transfer-Encoding', 'chunked', 'Upgrade', 'h2c', 'Proxy-Authorization', 'Basic eA==', 'X-A', '1'],
  ];
  expect(endToEnd(fields, keepAll)).toEqual(['Host', 'a', 'X-A', '1']);
});

test('so do those that Connection names', () => {
  const fields = ['X-One', '1', 'Connection', 'x-one , X-Two', 'X-Two', '2', 'X-Three', '3'];
  expect(endToEnd(fields, keepAll)).toEqual(['X-Three', '3']);
  expect(connectionOptions(fields)).toEqual(['x-one', 'x-two']);
});

test('Connection cannot take the length or the host away', () => {
  const fields = ['Connection', 'content-length, host', 'Content-Length', '3', 'Host', 'a'];
  expect(endToEnd(fields, keepAll)).toEqual(['Content-Length', '3', 'Host', 'a']);
});

test('fields that are there twice stay twice, in their order and spelling', () => {
  const fields = ['x-a', '1', 'X-A', '2', 'X-B', '3'];
  expect(endToEnd(fields, (name) => name === 'x-b')).toEqual(['x-a', '1', 'X-A', '2']);
});
