import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../../../../src/protocol/proxy-protocol/crc32c.ts';
import { decodeProxyHeader } from '../../../../src/protocol/proxy-protocol/decode.ts';
import {
  allV2Fields,
  encodeProxyV1,
  encodeProxyV2,
  type ProxyFacts,
} from '../../../../src/protocol/proxy-protocol/encode.ts';
import { type Tlv, tlvType, toldTls } from '../../../../src/protocol/proxy-protocol/tlv.ts';

const endpoint = (address: string, port = 1883) => ({ address, port });
const facts: ProxyFacts = { source: endpoint('192.0.2.1', 1000), destination: endpoint('198.51.100.2') };
const tls = {
  version: 'TLSv1.3',
  cipher: 'TLS_AES_256_GCM_SHA384',
  sni: 'mqtt.example.com',
  alpn: 'mqtt',
  clientCertificate: { commonName: 'meter-7', isVerified: true },
};
const nothing = Object.fromEntries(
  Object.keys(allV2Fields).map((key) => [key, false]),
) as unknown as typeof allV2Fields;

function decoded(bytes: Uint8Array) {
  const result = decodeProxyHeader(bytes, 0, bytes.length);
  if (result.kind !== 'header') throw new Error(JSON.stringify(result));
  expect(result.end).toBe(bytes.length);
  return result.header;
}
const tlvs = (extra: Partial<ProxyFacts>, fields = allV2Fields) =>
  decoded(encodeProxyV2({ ...facts, ...extra }, fields)).tlvs;
const types = (of: readonly Tlv[]) => of.map(({ type }) => type);

test('CRC32c of RFC 3720 appendix B.4', () => {
  expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff), 0, 32)).toBe(0x62a8ab43);
  expect(
    crc32c(
      Uint8Array.from({ length: 32 }, (_, i) => i),
      0,
      32,
    ),
  ).toBe(0x46dd794e);
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283);
});

describe('version 1 (2.1)', () => {
  test.each([
    ['192.0.2.1', '198.51.100.2', 'PROXY TCP4 192.0.2.1 198.51.100.2 1000 1883\r\n'],
    ['::ffff:192.0.2.1', '198.51.100.2', 'PROXY TCP4 192.0.2.1 198.51.100.2 1000 1883\r\n'],
    ['2001:DB8:0::1', '::1', 'PROXY TCP6 2001:db8::1 ::1 1000 1883\r\n'],
    ['192.0.2.1', '::1', 'PROXY TCP6 ::ffff:192.0.2.1 ::1 1000 1883\r\n'],
    ['', '::1', 'PROXY UNKNOWN\r\n'],
  ])('%s to %s', (source, destination, line) => {
    const bytes = encodeProxyV1({ source: endpoint(source, 1000), destination: endpoint(destination) });
    expect(Buffer.from(bytes).toString()).toBe(line);
  });
});

describe('version 2 (2.2)', () => {
  test('without any vector it is the 28 bytes of the specification', () => {
    const hex = '0d0a0d0a000d0a515549540a2111000cc0000201c633640203e8075b';
    expect(Buffer.from(encodeProxyV2(facts, nothing)).toString('hex')).toBe(hex);
  });

  test('tells the TLS of the device (2.2.6)', () => {
    const told = tlvs({ tls });
    expect(types(told)).toEqual([tlvType.alpn, tlvType.authority, tlvType.ssl, tlvType.crc32c]);
    expect(toldTls(told)).toEqual({
      ...{ sni: tls.sni, alpn: tls.alpn, version: tls.version, cipher: tls.cipher },
      clientCn: 'meter-7',
    });
    const ssl = told.find(({ type }) => type === tlvType.ssl)?.value;
    expect([...(ssl?.subarray(0, 5) ?? [])]).toEqual([7, 0, 0, 0, 0]);
  });

  test.each([
    ['no certificate', undefined, [1, 0, 0, 0, 1]],
    ['an unverified certificate', { commonName: 'liar', isVerified: false }, [7, 0, 0, 0, 1]],
  ])('verify is not zero for %s, and its name is not believed (2.2.6)', (_what, clientCertificate, prefix) => {
    const told = tlvs({ tls: { ...tls, clientCertificate } });
    expect([...(told.find(({ type }) => type === tlvType.ssl)?.value.subarray(0, 5) ?? [])]).toEqual(prefix);
    expect(toldTls(told).clientCn).toBeUndefined();
  });

  test('each field can be turned off', () => {
    const all = { tls, uniqueId: Uint8Array.of(1, 2) };
    const whole = (fields = allV2Fields) => {
      const told = tlvs(all, fields);
      const { sni, alpn, version, cipher, clientCn } = toldTls(told);
      return { alpn, authority: sni, tlsVersion: version, cipher, clientCn, ...rest(types(told)) };
    };
    const rest = (present: number[]) => ({
      uniqueId: present.includes(tlvType.uniqueId) || undefined,
      crc32c: present.includes(tlvType.crc32c) || undefined,
    });
    for (const field of Object.keys(allV2Fields)) {
      expect(whole({ ...allV2Fields, [field]: false })).toEqual({ ...whole(), [field]: undefined });
    }
    expect(tlvs(all, nothing)).toEqual([]);
  });

  test('a common name that is too long is left out, not cut', () => {
    const clientCertificate = { commonName: 'x'.repeat(257), isVerified: true };
    expect(toldTls(tlvs({ tls: { ...tls, clientCertificate } })).clientCn).toBeUndefined();
  });

  test('chained vectors are kept as they are where we know no better, and the checksum is made anew', () => {
    const chained = [
      { type: 0xe5, value: Uint8Array.of(9) },
      { type: tlvType.authority, value: Buffer.from('first.example') },
      { type: tlvType.crc32c, value: Uint8Array.of(1, 2, 3, 4) },
      { type: 0xe5, value: Uint8Array.of(8) },
    ];
    const told = tlvs({ chained });
    expect(types(told)).toEqual([0xe5, tlvType.authority, 0xe5, tlvType.crc32c]);
    expect(toldTls(told).sni).toBe('first.example');
  });

  test('what our own TLS has settled is told in place of chained words on TLS, also where less of it is told', () => {
    const theirs = { commonName: 'forged', isVerified: true };
    const chained = [
      ...tlvs({ tls: { ...tls, sni: 'first.example', clientCertificate: theirs } }),
      { type: 0xe5, value: Uint8Array.of(9) },
    ];
    const ours = { commonName: 'meter-17', isVerified: true };
    const told = toldTls(tlvs({ tls: { ...tls, clientCertificate: ours }, chained }));
    expect([told.clientCn, told.sni]).toEqual(['meter-17', tls.sni]);
    expect(types(tlvs({ tls, chained }, { ...nothing, chained: true }))).toEqual([0xe5]);
    expect(tlvs({ tls, chained }, nothing)).toEqual([]);
  });

  test('a unique id over 128 bytes is a mistake (2.2.5)', () => {
    expect(() => encodeProxyV2({ ...facts, uniqueId: new Uint8Array(129) })).toThrow(RangeError);
  });
});

test('what is written is read again', () => {
  const port = fc.nat(65_535);
  const of = (address: fc.Arbitrary<string>) => fc.record({ address, port });
  const pair = fc.oneof(fc.tuple(of(fc.ipV4()), of(fc.ipV4())), fc.tuple(of(fc.ipV6()), of(fc.ipV6())));
  const tlv = fc.record({
    type: fc.integer({ min: 0xe0, max: 0xef }),
    value: fc.uint8Array({ maxLength: 60 }),
  });
  fc.assert(
    fc.property(
      pair,
      fc.array(tlv, { maxLength: 5 }),
      fc.boolean(),
      ([source, destination], chained, checked) => {
        const v2 = decoded(
          encodeProxyV2({ source, destination, chained }, { ...nothing, chained: true, crc32c: checked }),
        );
        const v1 = decoded(encodeProxyV1({ source, destination }));
        expect(v1).toEqual({ ...v2, version: 1, tlvs: [] });
        expect([v2.source?.port, v2.destination?.port]).toEqual([source.port, destination.port]);
        expect(v2.tlvs.slice(0, chained.length)).toEqual(chained);
        if (!source.address.includes(':')) expect(v2.source).toEqual(source);
      },
    ),
  );
});

test('one wrong bit anywhere behind the length is refused', () => {
  const bytes = encodeProxyV2({ ...facts, tls });
  const checksumTypeAt = bytes.length - 7; // with another type there is no checksum
  for (let bit = 16 * 8; bit < bytes.length * 8; bit++) {
    if (bit >> 3 === checksumTypeAt) continue;
    const wrong = Uint8Array.from(bytes);
    wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(decodeProxyHeader(wrong, 0, wrong.length).kind, `bit ${bit}`).toBe('refused');
  }
});
