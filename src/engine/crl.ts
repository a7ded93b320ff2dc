import { BreakwaterError } from '../base/errors.ts';

/** Certificate revocation lists (RFC 5280, 5), as far as more is to be known of them than OpenSSL does with them. */

/** One list. */
export interface Crl extends CrlFacts {
  /** Serial numbers of the certificates that are revoked, in hex. */
  readonly revoked: ReadonlySet<string>;
}

/** What is told of a list. Structured-cloneable. */
export interface CrlFacts {
  /** Name of the authority, in one form however it is encoded. */
  readonly issuer: string;
  /** The same for people, such as `O=Example, CN=Devices`. */
  readonly issuerName: string;
  /** When the next list is due, in ms since 1970; undefined where the list does not say. */
  readonly nextUpdateMs: number | undefined;
}

/** One value of DER: its tag, where its contents begin, and where it ends. */
interface Value {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

const INTEGER = 0x02;
const BMP_STRING = 0x1e;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;

const BLOCK = /-----BEGIN X509 CRL-----([\s\S]*?)-----END X509 CRL-----/g;

export function holdsCrl(pem: string): boolean {
  return pem.includes('-----BEGIN X509 CRL-----');
}

/** Each list of a PEM text; there is at least one. @throws BreakwaterError TLS_INVALID */
export function parseCrls(pem: string): readonly Crl[] {
  const blocks = crlBlocks(pem);
  if (blocks.length === 0) throw invalid('it holds no certificate revocation list in PEM (BEGIN X509 CRL)');
  return blocks.map((block) => parseCrl(Buffer.from(block.replace(/-----[^-]+-----/g, ''), 'base64')));
}

/** The lists of a PEM text, each as a text of its own. */
export function crlBlocks(pem: string): string[] {
  return pem.match(BLOCK) ?? [];
}

export function isExpired({ nextUpdateMs }: CrlFacts, nowMs: number): boolean {
  return nextUpdateMs !== undefined && nextUpdateMs <= nowMs;
}

function parseCrl(der: Buffer): Crl {
  try {
    const [tbs] = valuesIn(der, only(der, SEQUENCE));
    const fields = valuesIn(der, expect(tbs, SEQUENCE));
    if (fields[0]?.tag === INTEGER) fields.shift(); // the version
    const [, issuer, , next, afterNext] = fields;
    const isDated = next !== undefined && (next.tag === UTC_TIME || next.tag === GENERALIZED_TIME);
    const entries = isDated ? afterNext : next;
    const revoked = new Set<string>();
    if (entries?.tag === SEQUENCE) {
      for (const entry of valuesIn(der, entries)) {
        const [serial] = valuesIn(der, expect(entry, SEQUENCE));
        revoked.add(hex(der, expect(serial, INTEGER)));
      }
    }
    return {
      issuer: nameOf(der, expect(issuer, SEQUENCE)),
      issuerName: shownName(der, expect(issuer, SEQUENCE)),
      nextUpdateMs: isDated ? timeOf(der, next) : undefined,
      revoked,
    };
  } catch {
    throw invalid('a certificate revocation list in it is damaged');
  }
}

/** What a certificate says of itself that lists speak of. @throws BreakwaterError TLS_INVALID */
export function certificateNames(der: Buffer): { serial: string; issuer: string; subject: string } {
  try {
    const [tbs] = valuesIn(der, only(der, SEQUENCE));
    const fields = valuesIn(der, expect(tbs, SEQUENCE));
    if (fields[0]?.tag === 0xa0) fields.shift(); // the version
    const [serial, , issuer, , subject] = fields;
    return {
      serial: hex(der, expect(serial, INTEGER)),
      issuer: nameOf(der, expect(issuer, SEQUENCE)),
      subject: nameOf(der, expect(subject, SEQUENCE)),
    };
  } catch {
    throw invalid('a certificate is damaged');
  }
}

/**
 * Whether a chain of certificates (DER, the peer's own first) is good by these lists: each has a list of its issuer, and
 * is in none. As OpenSSL, for the root too.
 */
export function isGoodBy(crls: readonly Crl[], chain: readonly Buffer[]): boolean {
  return chain.every((der) => {
    const { serial, issuer } = certificateNames(der);
    const own = crls.filter((crl) => crl.issuer === issuer);
    return own.length > 0 && own.every(({ revoked }) => !revoked.has(serial));
  });
}

/** Without regard to case, spaces and encoding (RFC 5280, 7.1). */
function nameOf(der: Buffer, name: Value): string {
  const parts = nameParts(der, name);
  return parts.map(({ type, text }) => `${type}=${text.trim().replace(/\s+/g, ' ').toLowerCase()}`).join(',');
}

/** Object identifiers of the usual parts of names, in hex (X.520). */
const partNames: Readonly<Record<string, string>> = {
  ...{ '550403': 'CN', '550406': 'C', '550407': 'L', '550408': 'ST', '55040a': 'O', '55040b': 'OU' },
};

function shownName(der: Buffer, name: Value): string {
  return nameParts(der, name)
    .map(({ type, text }) => `${partNames[type] ?? type}=${text}`)
    .join(', ')
    .slice(0, 256);
}

function nameParts(der: Buffer, name: Value): { readonly type: string; readonly text: string }[] {
  const parts = valuesIn(der, name).flatMap((set) => valuesIn(der, set));
  return parts.map((part) => {
    const [type, value] = valuesIn(der, part);
    if (type === undefined || value === undefined) throw new Error('a name without a value');
    const bytes = der.subarray(value.start, value.end);
    const text =
      value.tag === BMP_STRING ? Buffer.from(bytes).swap16().toString('utf16le') : bytes.toString();
    return { type: hex(der, type), text };
  });
}

function timeOf(der: Buffer, { tag, start, end }: Value): number {
  const text = der.toString('latin1', start, end);
  const century = tag === GENERALIZED_TIME ? '' : Number(text.slice(0, 2)) < 50 ? '20' : '19';
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(century + text) ?? [];
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(ms)) throw new Error('no time');
  return ms;
}

function hex(der: Buffer, { start, end }: Value): string {
  return der.toString('hex', start, end);
}

function only(der: Buffer, tag: number): Value {
  return expect(valueAt(der, 0, der.length), tag);
}

function expect(value: Value | undefined, tag: number): Value {
  if (value?.tag !== tag) throw new Error('another value');
  return value;
}

function valuesIn(der: Buffer, { start, end }: Value): Value[] {
  const values: Value[] = [];
  for (let at = start; at < end; at = (values.at(-1) as Value).end) values.push(valueAt(der, at, end));
  return values;
}

/** @throws RangeError and others where the bytes are no DER */
function valueAt(der: Buffer, at: number, limit: number): Value {
  const tag = der.readUInt8(at);
  const short = der.readUInt8(at + 1);
  const lengthBytes = short < 0x80 ? 0 : short & 0x7f;
  const length = lengthBytes === 0 ? short : der.readUIntBE(at + 2, lengthBytes);
  const start = at + 2 + lengthBytes;
  if (start + length > limit) throw new RangeError('it is cut short');
  return { tag, start, end: start + length };
}

function invalid(reason: string): BreakwaterError {
  return new BreakwaterError('TLS_INVALID', reason);
}
