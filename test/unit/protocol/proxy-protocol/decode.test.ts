import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeProxyHeader } from '../../../../src/protocol/proxy-protocol/decode.ts';
import { MAX_V1_BYTES, MAX_V2_BYTES, signatureV2 } from '../../../../src/protocol/proxy-protocol/header.ts';
import { addresses4, headerV2 } from './headers.ts';

const decode = (bytes: Uint8Array) => decodeProxyHeader(bytes, 0, bytes.length);
const line = (text: string) => decode(Buffer.from(text, 'latin1'));
const header = (source?: string, destination?: string, tlvs: unknown[] = []) =>
  expect.objectContaining({
    kind: 'header',
    header: expect.objectContaining({ source: endpoint(source), destination: endpoint(destination), tlvs }),
  });
const endpoint = (text?: string) => {
  const [address, port] = text?.split(' ') ?? [];
  return address === undefined ? undefined : { address, port: Number(port) };
};
const refusedAs = (fault: string) => expect.objectContaining({ kind: 'refused', fault });

describe('version 1 (2.1)', () => {
  test.each([
    ['PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n', '192.168.0.1 56324', '192.168.0.11 443'],
    [
      'PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n',
      '255.255.255.255 65535',
      '255.255.255.255 65535',
    ],
    ['PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 0 1\r\n', '2001:db8::1 0', '::ffff:1.2.3.4 1'],
    [
      `PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`,
      `${'ffff:'.repeat(7)}ffff 65535`,
      `${'ffff:'.repeat(7)}ffff 65535`,
    ],
    ['PROXY UNKNOWN\r\n', undefined, undefined],
    ['PROXY UNKNOWN whatever stands here\r\n', undefined, undefined],
    [`PROXY UNKNOWN ${'f'.repeat(MAX_V1_BYTES - 16)}\r\n`, undefined, undefined],
  ])('%j', (text, source, destination) => {
    expect(line(text)).toEqual(header(source, destination));
  });

  test.each([
    'PROXY TCP4 192.168.0.01 192.168.0.11 1 2\r\n', // heading zero
    'PROXY TCP4 192.168.0.1 192.168.0.11 01 2\r\n',
    'PROXY TCP4 192.168.0.1 192.168.0.11 1 65536\r\n',
    'PROXY TCP4 192.168.0.1 192.168.0.11 1\r\n',
    'PROXY TCP4 192.168.0.1 192.168.0.11 1 2 \r\n',
    'PROXY TCP4  192.168.0.1 192.168.0.11 1 2\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n', // the family dictates the format
    'PROXY TCP6 10.0.0.1 10.0.0.2 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY TCP4 192.168.0.1 192.168.0.11 1 2\n', // LF alone
    'PROXY TCP4 192.168.0.1 192.168.0.11 1 2\rX',
    'PROXY UNKNOWNS\r\n',
    'PROXY TCP5',
    'PROXY tcp4 192.168.0.1 192.168.0.11 1 2\r\n',
  ])('%j is malformed', (text) => {
    expect(line(text)).toEqual(refusedAs('malformed'));
  });

  test.each([
    ['PROXY TCP4 ', 56],
    ['PROXY TCP6 ', 104],
    ['PROXY UNKNOWN ', MAX_V1_BYTES],
  ])('%j without CRLF is incomplete below %i bytes and refused then', (start, bytes) => {
    expect(line(start.padEnd(bytes - 1, 'x'))).toMatchObject({ kind: 'incomplete' });
    expect(line(start.padEnd(bytes, 'x'))).toEqual(refusedAs('too-long'));
  });
});

describe('version 2 (2.2)', () => {
  const source = '192.0.2.1 1000';
  const destination = '198.51.100.2 1883';

  test('TCP over IPv4, with vectors of any type, kept in order', () => {
    const tlvs = [0xe0, 0, 2, 7, 8, 4, 0, 0, 0x99, 0, 1, 5];
    expect(decode(headerV2(0x21, 0x11, [...addresses4, ...tlvs]))).toEqual(
      header(source, destination, [
        { type: 0xe0, value: Uint8Array.of(7, 8) },
        { type: 4, value: Uint8Array.of() },
        { type: 0x99, value: Uint8Array.of(5) },
      ]),
    );
  });

  test('TCP over IPv6', () => {
    const body = Array.from({ length: 36 }, (_, index) => (index === 15 || index === 31 ? index : 0));
    expect(decode(headerV2(0x21, 0x21, body))).toEqual(header('::f 0', '::1f 0'));
  });

  test.each([
    ['LOCAL, its block discarded whatever it is', headerV2(0x20, 0x11, [1, 2, 3])],
    ['LOCAL with a family that is none', headerV2(0x20, 0xff, [])],
    ['an unspecified family', headerV2(0x21, 0x00, [1, 2, 3])],
    ['an unspecified transport', headerV2(0x21, 0x10, addresses4)],
    ['UDP', headerV2(0x21, 0x12, addresses4)],
    ['a UNIX socket', headerV2(0x21, 0x31, Array(216).fill(1))],
  ])('%s leaves the real addresses', (_what, bytes) => {
    expect(decode(bytes)).toEqual(header());
  });

  test.each([
    ['version 1 in binary', headerV2(0x11, 0x11, addresses4)],
    ['an unassigned command', headerV2(0x22, 0x11, addresses4)],
    ['an unspecified family number', headerV2(0x21, 0x41, addresses4)],
    ['an unspecified transport number', headerV2(0x21, 0x13, addresses4)],
    ['too few bytes for the addresses', headerV2(0x21, 0x11, addresses4.slice(1))],
    ['too few bytes for UNIX addresses', headerV2(0x21, 0x31, addresses4)],
    ['a TLV without its length', headerV2(0x21, 0x11, [...addresses4, 1, 0])],
    ['a TLV longer than the header', headerV2(0x21, 0x11, [...addresses4, 1, 0, 2, 0])],
    ['a checksum of two bytes', headerV2(0x21, 0x11, [...addresses4, 3, 0, 2, 0, 0])],
  ])('%s is malformed', (_what, bytes) => {
    expect(decode(bytes)).toEqual(refusedAs('malformed'));
  });

  test('a wrong checksum is refused (2.2.3)', () => {
    expect(decode(headerV2(0x21, 0x11, [...addresses4, 3, 0, 4, 0, 0, 0, 0]))).toEqual(refusedAs('checksum'));
  });

  test('a length beyond the bound is refused before its bytes have come', () => {
    expect(decode(headerV2(0x21, 0x11, [], MAX_V2_BYTES - 16))).toMatchObject({ kind: 'incomplete' });
    expect(decode(headerV2(0x21, 0x11, [], MAX_V2_BYTES - 15))).toEqual(refusedAs('too-long'));
  });

  test('each byte of the prefix is judged as it comes', () => {
    expect(decode(Uint8Array.of(...signatureV2.subarray(0, 5), 1))).toEqual(refusedAs('no-header'));
    expect(decode(Uint8Array.of(...signatureV2, 0x31))).toEqual(refusedAs('malformed'));
    expect(decode(Uint8Array.of(...signatureV2, 0x21, 0x77))).toEqual(refusedAs('malformed'));
  });
});

test.each([
  ['an MQTT CONNECT', Uint8Array.of(0x10, 20)],
  ['a TLS handshake', Uint8Array.of(0x16, 3, 1)],
  ['an HTTP request', Buffer.from('PROPFIND / HTTP/1.1\r\n')],
  ['a short HTTP request', Buffer.from('G')],
])('%s is no header', (_what, bytes) => {
  expect(decode(bytes)).toEqual(refusedAs('no-header'));
});

const anyHeader = fc.oneof(
  fc.constantFrom(
    Buffer.from('PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n'),
    Buffer.from('PROXY TCP6 ::1 ::2 1 2\r\n'),
    Buffer.from('PROXY UNKNOWN x\r\n'),
  ),
  fc
    .array(fc.nat(255), { maxLength: 40 })
    .map((value) => headerV2(0x21, 0x11, [...addresses4, 0xe1, 0, value.length, ...value])),
);

test('of version 2 the whole rest is wanted as soon as the length is there', () => {
  const whole = headerV2(0x21, 0x11, Array(200).fill(0));
  const wanted = Array.from({ length: whole.length }, (_, end) => {
    const result = decodeProxyHeader(whole, 0, end);
    return result.kind === 'incomplete' ? result.wantedBytes : 0;
  });
  expect(wanted.slice(0, 13)).toEqual(Array.from({ length: 13 }, (_, end) => end + 1));
  expect(wanted.slice(13, 16)).toEqual([14, 16, 16]);
  expect(new Set(wanted.slice(16))).toEqual(new Set([whole.length]));
});

test('a header split at any byte is incomplete until its last byte, and ends there', () => {
  fc.assert(
    fc.property(anyHeader, fc.uint8Array({ maxLength: 8 }), fc.nat(5), (bytes, payload, offset) => {
      const whole = Uint8Array.of(...Array(offset).fill(0), ...bytes, ...payload);
      for (let end = offset; end < offset + bytes.length; end++) {
        expect(decodeProxyHeader(whole, offset, end)).toMatchObject({ kind: 'incomplete' });
      }
      const result = decodeProxyHeader(whole, offset, whole.length);
      expect(result).toEqual(decodeProxyHeader(whole, offset, offset + bytes.length));
      expect(result).toMatchObject({ kind: 'header', end: offset + bytes.length });
    }),
    { numRuns: 50 },
  );
});

test('nothing is waited for beyond the bound, nothing throws, and more bytes change no answer', () => {
  const start = fc.constantFrom<number[]>(
    [],
    [...signatureV2, 0x21],
    [...signatureV2, 0x21, 0x11, 0],
    [...Buffer.from('PROXY TCP4 ')],
  );
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), fc.nat(300), (prefix, rest, cut) => {
      const bytes = Uint8Array.of(...prefix, ...rest);
      const early = decodeProxyHeader(bytes, 0, Math.min(cut, bytes.length));
      if (early.kind === 'incomplete') return;
      const late = decode(bytes);
      expect(late.kind).toBe(early.kind);
    }),
    { numRuns: 2000 },
  );
  expect(decode(headerV2(0x21, 0x11, Array(MAX_V2_BYTES - 16).fill(0))).kind).not.toBe('incomplete');
});
