import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { certificateNames, crlBlocks, isExpired, isGoodBy, parseCrls } from '../../../src/engine/crl.ts';
import { type Authority, createAuthority, type Issued } from '../../support/certificates.ts';

let root: Authority;
let below: Authority;
let one: Issued;
let two: Issued;

beforeAll(() => {
  root = createAuthority('root');
  below = root.below('below');
  [one, two] = [below.issue({ cn: 'one' }), below.issue({ cn: 'two' })];
});

const der = ({ cert }: Pick<Issued, 'cert'>): Buffer => new X509Certificate(cert).raw;

test('a list says whose it is, when the next is due, and what is revoked', () => {
  const before = Date.now();
  const [list] = parseCrls(below.crl([one, two], 3));
  expect(list?.issuerName).toBe('O=Test, CN=below');
  expect(list?.issuer).toBe(certificateNames(der(below)).subject);
  expect(list?.revoked).toEqual(new Set([one, two].map((each) => certificateNames(der(each)).serial)));
  const dueMs = list?.nextUpdateMs ?? 0;
  expect(Math.abs(dueMs - before - 3 * 86_400_000)).toBeLessThan(60_000);
  expect([
    isExpired({ ...list, nextUpdateMs: dueMs } as never, dueMs),
    isExpired(list as never, dueMs - 1),
  ]).toEqual([...[true, false]]);
});

test('a file may hold several, and other things between them', () => {
  const pem = `${root.crl([])}some words\n${root.cert}${below.crl([one])}`;
  expect(parseCrls(pem).map(({ revoked }) => revoked.size)).toEqual([0, 1]);
  expect(crlBlocks(pem)).toHaveLength(2);
});

test('a chain is good when each has a list of its issuer, and is in none', () => {
  const chain = [one, below, root].map(der);
  const lists = (...pems: string[]) => parseCrls(pems.join(''));
  expect(isGoodBy(lists(root.crl([]), below.crl([two])), chain)).toBe(true);
  expect(isGoodBy(lists(root.crl([]), below.crl([one])), chain)).toBe(false);
  expect(isGoodBy(lists(root.crl([below]), below.crl([])), chain)).toBe(false);
  expect(isGoodBy(lists(root.crl([])), chain)).toBe(false);
});

test('whatever is in the file, it is read or refused', () => {
  const pem = below.crl([one, two]);
  const bytes = Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
  const wrap = (body: Uint8Array) =>
    `-----BEGIN X509 CRL-----\n${Buffer.from(body).toString('base64')}\n-----END X509 CRL-----\n`;
  const changed = fc
    .tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), fc.nat({ max: bytes.length }))
    .map(([at, byte, end]) => {
      const copy = Buffer.from(bytes);
      copy[at] = byte;
      return copy.subarray(0, end % 3 === 0 ? end : bytes.length);
    });
  fc.assert(
    fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 300 })), (body) => {
      try {
        expect(parseCrls(wrap(body))).toHaveLength(1);
      } catch (error) {
        expect(error).toMatchObject({ code: 'TLS_INVALID' });
      }
    }),
    { numRuns: 2_000 },
  );
});
