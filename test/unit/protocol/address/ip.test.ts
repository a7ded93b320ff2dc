import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatIp, newIpWords, parseIp } from '../../../../src/protocol/address/ip.ts';

function roundTrip(text: string): string | undefined {
  const words = newIpWords();
  const family = parseIp(text, words);
  return family === 0 ? undefined : formatIp(family, words);
}

test.each([
  ['10.0.0.255', '10.0.0.255'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['::FFFF:a01:203', '10.1.2.3'],
  ['fe80::1%eth0', 'fe80::1'],
  ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // RFC 5952 clause 4.2.3: the first of two equal runs
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // clause 4.2.2: one group is not shortened
  ['::', '::'],
  ['1::', '1::'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
])('%s is %s', (text, formatted) => {
  expect(roundTrip(text)).toBe(formatted);
});

test('an IPv6 address reads as the URL standard reads it', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const standard = new URL(`http://[${text}]`).hostname.slice(1, -1);
      const ours = roundTrip(text) ?? 'nothing';
      expect(new URL(ours.includes(':') ? `http://[${ours}]` : `http://[::ffff:${ours}]`).hostname).toBe(
        `[${standard}]`,
      );
    }),
  );
});

test('what is an address, and what is not, node:net judges alike', () => {
  const almost = fc.stringMatching(/^[0-9a-f:.]{0,24}$/);
  const mutated = fc
    .tuple(fc.oneof(fc.ipV6(), fc.ipV4()), fc.nat(40), fc.constantFrom(':', '.', '0', '1', ''))
    .map(([text, at, piece]) => text.slice(0, at) + piece + text.slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(almost, mutated), (text) => {
      expect(parseIp(text, newIpWords()) !== 0).toBe(isIPv4(text) || isIPv6(text));
    }),
    { numRuns: 2000 },
  );
});
