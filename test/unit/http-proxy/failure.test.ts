import { expect, test } from 'vitest';
import { failureOf } from '../../../src/http-proxy/failure.ts';

const error = (code: string) => Object.assign(new Error('a message that nobody is told'), { code });

test.each([
  ['ECONNREFUSED', 502, 'refused'],
  ['UND_ERR_CONNECT_TIMEOUT', 504, 'timeout'],
  ['EHOSTUNREACH', 502, 'unreachable'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 502, 'tls'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 502, 'tls'],
  ['EMFILE', 502, undefined],
])('before anything is sent, %s is told the client as %i and the node’s health as %s', (code, status, dial) => {
  expect(failureOf(error(code), false)).toMatchObject({ status, dial, isClosed: false, code });
});

test.each([
  ['UND_ERR_SOCKET', 502, true],
  ['ECONNRESET', 502, true],
  ['UND_ERR_HEADERS_TIMEOUT', 504, false],
  ['HPE_INVALID_CONSTANT', 502, false],
])('afterwards %s is %i, and says nothing of the node’s health', (code, status, isClosed) => {
  expect(failureOf(error(code), true)).toMatchObject({ status, dial: undefined, isClosed });
});

test('what the client library will not send is the client’s fault, not the node’s', () => {
  expect(failureOf(error('UND_ERR_INVALID_ARG'), false)).toMatchObject({ status: 400, dial: undefined });
});
