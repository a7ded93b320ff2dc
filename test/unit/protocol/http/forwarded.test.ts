import { expect, test } from 'vitest';
import { claimsOrigin, deviceAddress, originFields } from '../../../../src/protocol/http/forwarded.ts';

const origin = { peer: '192.0.2.7', proto: 'https', host: 'a.example:8443', isTrusted: false } as const;
const told = [
  ...['X-Forwarded-For', '198.51.100.1', 'X-Forwarded-Proto', 'http', 'X-Forwarded-Host', 'b.example'],
  ...['Forwarded', 'for=198.51.100.1'],
];

test('what an untrusted device says of its origin is replaced (RFC 7239, 8.1)', () => {
  expect(originFields(told, origin)).toEqual([
    ...['X-Forwarded-For', '192.0.2.7', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'a.example:8443'],
    ...['Forwarded', 'for=192.0.2.7;proto=https;host="a.example:8443"'],
  ]);
});

test('what a trusted proxy says goes on, and the proxy is added', () => {
  expect(originFields(told, { ...origin, isTrusted: true })).toEqual([
    ...['X-Forwarded-For', '198.51.100.1, 192.0.2.7', 'X-Forwarded-Proto', 'http'],
    ...['X-Forwarded-Host', 'b.example'],
    ...['Forwarded', 'for=198.51.100.1, for=192.0.2.7;proto=https;host="a.example:8443"'],
  ]);
});

test('an IPv6 address stands in brackets and quotes (RFC 7239, 6.1)', () => {
  expect(originFields([], { ...origin, peer: '2001:db8::7', host: '' })).toEqual([
    ...['X-Forwarded-For', '2001:db8::7', 'X-Forwarded-Proto', 'https'],
    ...['Forwarded', 'for="[2001:db8::7]";proto=https'],
  ]);
});

test.each([
  ...['forwarded', 'x-forwarded-for', 'x-forwarded-port', 'x_forwarded_for', 'x-forwarded', 'x-real-ip'],
])('%s claims an origin', (name) => expect(claimsOrigin(name)).toBe(true));

test.each(['forwarded-x', 'x-forwardedly', 'x-request-id', 'x-real-ipx', ''])('%s claims none', (name) =>
  expect(claimsOrigin(name)).toBe(false));

test('the device is the last address that no proxy of ours has', () => {
  const isTrusted = (address: string) => address.startsWith('10.');
  const chain = ['X-Forwarded-For', '203.0.113.9, 198.51.100.1', 'x-forwarded-for', '10.0.0.2'];
  expect(deviceAddress(chain, '10.0.0.1', isTrusted)).toBe('198.51.100.1');
  expect(deviceAddress(chain, '192.0.2.7', isTrusted)).toBe('192.0.2.7');
  expect(deviceAddress([], '10.0.0.1', isTrusted)).toBe('10.0.0.1');
  expect(deviceAddress(['X-Forwarded-For', 'unknown, <x>'], '10.0.0.1', isTrusted)).toBe('10.0.0.1');
  expect(deviceAddress(['X-Forwarded-For', '10.1.0.1, 10.2.0.1'], '10.0.0.1', isTrusted)).toBe('10.1.0.1');
});
