/**
 * Type-length-value vectors of the PROXY protocol, version 2 (clauses 2.2 to 2.2.8 of
 * https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt): one byte type, two bytes length, value.
 */

export interface Tlv {
  readonly type: number;
  readonly value: Uint8Array;
}

export const tlvType = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  ssl: 0x20,
  sslVersion: 0x21,
  sslCommonName: 0x22,
  sslCipher: 0x23,
  netns: 0x30,
} as const;

/** The `client` field of PP2_TYPE_SSL (clause 2.2.6). */
export const sslClient = { ssl: 0x01, certificateInConnection: 0x02, certificateInSession: 0x04 } as const;

/** Client flags and verify result stand before the vectors within PP2_TYPE_SSL. */
export const SSL_PREFIX_BYTES = 5;
export const TLV_HEADER_BYTES = 3;
/** Clause 2.2.5. */
export const MAX_UNIQUE_ID_BYTES = 128;

/** The vectors that fill [start, end) exactly, copied; undefined when the last is cut off. */
export function readTlvs(bytes: Uint8Array, start: number, end: number): Tlv[] | undefined {
  const tlvs: Tlv[] = [];
  let at = start;
  while (at < end) {
    const valueAt = at + TLV_HEADER_BYTES;
    if (valueAt > end) return undefined;
    const behind = valueAt + (((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number));
    if (behind > end) return undefined;
    tlvs.push({ type: bytes[at] as number, value: Uint8Array.prototype.slice.call(bytes, valueAt, behind) });
    at = behind;
  }
  return tlvs;
}

/** Bytes of the vectors, one behind the other. @throws RangeError where a value is longer than its length can say */
export function writeTlvs(tlvs: readonly Tlv[]): Uint8Array {
  const bytes = new Uint8Array(tlvs.reduce((sum, { value }) => sum + TLV_HEADER_BYTES + value.length, 0));
  let at = 0;
  for (const { type, value } of tlvs) {
    if (value.length > 0xffff) throw new RangeError(`TLV 0x${type.toString(16)} of ${value.length} bytes`);
    bytes.set([type, value.length >>> 8, value.length & 0xff], at);
    bytes.set(value, at + TLV_HEADER_BYTES);
    at += TLV_HEADER_BYTES + value.length;
  }
  return bytes;
}

/** What an earlier proxy tells of the device's TLS, read from its vectors; undefined parts were not said. */
interface ToldTls {
  readonly sni: string | undefined;
  readonly alpn: string | undefined;
  readonly version: string | undefined;
  readonly cipher: string | undefined;
  /** The name in a client certificate that was verified; that of an unverified one is left out. */
  readonly clientCn: string | undefined;
}

/** The device's TLS as the proxy before us saw it, for rules; to be believed only of a trusted proxy. */
export function toldTls(tlvs: readonly Tlv[]): ToldTls {
  const ssl = tlvs.find(({ type }) => type === tlvType.ssl)?.value;
  const inner = ssl === undefined ? [] : (readTlvs(ssl, SSL_PREFIX_BYTES, ssl.length) ?? []);
  return {
    sni: textOf(tlvs, tlvType.authority),
    alpn: textOf(tlvs, tlvType.alpn),
    version: textOf(inner, tlvType.sslVersion),
    cipher: textOf(inner, tlvType.sslCipher),
    clientCn: ssl !== undefined && isVerified(ssl) ? textOf(inner, tlvType.sslCommonName) : undefined,
  };
}

function isVerified(ssl: Uint8Array): boolean {
  const presented = sslClient.certificateInConnection | sslClient.certificateInSession;
  return ((ssl[0] ?? 0) & presented) !== 0 && ssl.subarray(1, SSL_PREFIX_BYTES).every((byte) => byte === 0);
}

const utf8 = new TextDecoder();

function textOf(tlvs: readonly Tlv[], type: number): string | undefined {
  const value = tlvs.find((tlv) => tlv.type === type)?.value;
  return value === undefined ? undefined : utf8.decode(value);
}
