import { formatIp, type IpFamily, newIpWords, parseIp } from '../address/ip.ts';
import { crc32c } from './crc32c.ts';
import { type Endpoint, signatureV2, V2_PREFIX_BYTES } from './header.ts';
import {
  MAX_UNIQUE_ID_BYTES,
  SSL_PREFIX_BYTES,
  sslClient,
  TLV_HEADER_BYTES,
  type Tlv,
  tlvType,
  writeTlvs,
} from './tlv.ts';

/** The facts about one connection that the header carries to the node. */
export interface ProxyFacts {
  /** The device; undefined when it is not known. */
  readonly source: Endpoint | undefined;
  /** Where the device connected to. */
  readonly destination: Endpoint | undefined;
  readonly tls?: TlsFacts | undefined;
  /** Name that the device asked for, in a TLS that is not ours. */
  readonly authority?: string | undefined;
  /** At most MAX_UNIQUE_ID_BYTES. */
  readonly uniqueId?: Uint8Array | undefined;
  /** The vectors of the header that came in, sent on as they are, but for what our own TLS says. */
  readonly chained?: readonly Tlv[] | undefined;
}

/** TLS between the device and us. */
interface TlsFacts {
  /** As OpenSSL writes it: `TLSv1.3`. */
  readonly version: string;
  /** `TLS_AES_256_GCM_SHA384` */
  readonly cipher: string;
  readonly sni: string | undefined;
  readonly alpn: string | undefined;
  readonly clientCertificate: ClientCertificate | undefined;
}

interface ClientCertificate {
  readonly commonName: string | undefined;
  readonly isVerified: boolean;
}

/** What version 2 carries besides the addresses; each can be turned off. */
export interface V2Fields {
  readonly alpn: boolean;
  readonly authority: boolean;
  readonly tlsVersion: boolean;
  readonly cipher: boolean;
  readonly clientCn: boolean;
  readonly uniqueId: boolean;
  /** The contents of the header that came in. */
  readonly chained: boolean;
  readonly crc32c: boolean;
}

export const allV2Fields: V2Fields = {
  ...{ alpn: true, authority: true, tlsVersion: true, cipher: true, clientCn: true, uniqueId: true },
  ...{ chained: true, crc32c: true },
};

export const noV2Fields: V2Fields = {
  ...{ alpn: false, authority: false, tlsVersion: false, cipher: false, clientCn: false, uniqueId: false },
  ...{ chained: false, crc32c: false },
};

/**
 * A name in a certificate has no bound of its own; a longer one is left out, as half a name could be that of
 * another device.
 */
const MAX_COMMON_NAME_BYTES = 256;

/** The line of version 1 (clause 2.1); `UNKNOWN` where the addresses are not both known. */
export function encodeProxyV1({
  source,
  destination,
}: Pick<ProxyFacts, 'source' | 'destination'>): Uint8Array {
  const pair = pairOf(source, destination);
  if (pair === undefined) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  const { family, from, to } = pair;
  const addresses = [from, to].map(({ words }) => formatIp(family, words)).join(' ');
  return Buffer.from(`PROXY TCP${family} ${addresses} ${from.port} ${to.port}\r\n`, 'latin1');
}

/**
 * The header of version 2 (clause 2.2); command PROXY with an unspecified family where the addresses are not known.
 * @throws RangeError for a unique id that is too long
 */
export function encodeProxyV2(facts: ProxyFacts, fields: V2Fields = allV2Fields): Uint8Array {
  const pair = pairOf(facts.source, facts.destination);
  const tlvs = pair === undefined ? new Uint8Array() : writeTlvs(tlvsOf(facts, fields));
  const size = pair === undefined ? 0 : pair.family === 4 ? 4 : 16;
  const addressBytes = size === 0 ? 0 : 2 * size + 4;
  const checksumBytes = fields.crc32c && pair !== undefined ? TLV_HEADER_BYTES + 4 : 0;
  const bytes = prefixed(
    0x21,
    size === 0 ? 0 : size === 4 ? 0x11 : 0x21,
    addressBytes + tlvs.length + checksumBytes,
  );
  if (pair === undefined) return bytes;

  const view = new DataView(bytes.buffer);
  let at = V2_PREFIX_BYTES;
  for (const { words } of [pair.from, pair.to]) {
    for (let i = size === 4 ? 3 : 0; i < 4; i++, at += 4) view.setUint32(at, words[i] ?? 0);
  }
  view.setUint16(at, pair.from.port);
  view.setUint16(at + 2, pair.to.port);
  bytes.set(tlvs, at + 4);
  if (checksumBytes > 0) {
    bytes.set([tlvType.crc32c, 0, 4], bytes.length - checksumBytes);
    view.setUint32(bytes.length - 4, crc32c(bytes, 0, bytes.length)); // its own bytes are still zero
  }
  return bytes;
}

function prefixed(command: number, familyByte: number, length: number): Uint8Array {
  if (length > 0xffff) throw new RangeError(`PROXY header of ${length} bytes`);
  const bytes = new Uint8Array(V2_PREFIX_BYTES + length);
  bytes.set(signatureV2);
  bytes.set([command, familyByte, length >>> 8, length & 0xff], signatureV2.length);
  return bytes;
}

/** Both endpoints in one family: IPv4 in its IPv6 form where only one of them is IPv4. */
function pairOf(source: Endpoint | undefined, destination: Endpoint | undefined) {
  if (source === undefined || destination === undefined) return undefined;
  const from = { words: newIpWords(), port: source.port };
  const to = { words: newIpWords(), port: destination.port };
  const families = [parseIp(source.address, from.words), parseIp(destination.address, to.words)];
  if (families.includes(0)) return undefined;
  const family: IpFamily = families.includes(6) ? 6 : 4;
  if (family === 6) {
    if (families[0] === 4) from.words[2] = 0xffff;
    if (families[1] === 4) to.words[2] = 0xffff;
  }
  return { family, from, to };
}

/** Vectors that our own TLS overrides: it knows better than whoever stands before us. */
const OVERRIDDEN: ReadonlySet<number> = new Set([tlvType.alpn, tlvType.authority, tlvType.ssl]);

/** Ours first, then the chained ones in their order; the checksum is made anew. */
function tlvsOf({ tls, authority = tls?.sni, uniqueId, chained = [] }: ProxyFacts, fields: V2Fields): Tlv[] {
  const kept = (fields.chained ? chained : []).filter(
    ({ type }) => type !== tlvType.crc32c && !(tls !== undefined && OVERRIDDEN.has(type)),
  );
  const told = new Set(kept.map(({ type }) => type));
  const ours: Tlv[] = [];
  if (fields.alpn && tls?.alpn) ours.push(text(tlvType.alpn, tls.alpn));
  if (fields.authority && authority) ours.push(text(tlvType.authority, authority));
  if (fields.uniqueId && uniqueId !== undefined) {
    if (uniqueId.length > MAX_UNIQUE_ID_BYTES) throw new RangeError(`unique id of ${uniqueId.length} bytes`);
    ours.push({ type: tlvType.uniqueId, value: uniqueId });
  }
  if (tls !== undefined) {
    const inner = sslTlvs(tls, fields);
    if (inner.length > 0) ours.push({ type: tlvType.ssl, value: sslValue(tls, inner) });
  }
  return [...ours.filter(({ type }) => !told.has(type)), ...kept];
}

function sslTlvs({ version, cipher, clientCertificate }: TlsFacts, fields: V2Fields): Tlv[] {
  const tlvs: Tlv[] = [];
  if (fields.tlsVersion) tlvs.push(text(tlvType.sslVersion, version));
  const name = fields.clientCn ? clientCertificate?.commonName : undefined;
  const nameTlv = name === undefined ? undefined : text(tlvType.sslCommonName, name);
  if (nameTlv !== undefined && nameTlv.value.length <= MAX_COMMON_NAME_BYTES) tlvs.push(nameTlv);
  if (fields.cipher) tlvs.push(text(tlvType.sslCipher, cipher));
  return tlvs;
}

/** `verify` is zero only for a certificate that was presented and verified (clause 2.2.6). */
function sslValue({ clientCertificate }: TlsFacts, inner: readonly Tlv[]): Uint8Array {
  const tlvs = writeTlvs(inner);
  const value = new Uint8Array(SSL_PREFIX_BYTES + tlvs.length);
  const presented = sslClient.certificateInConnection | sslClient.certificateInSession;
  value[0] = sslClient.ssl | (clientCertificate === undefined ? 0 : presented);
  value[4] = clientCertificate?.isVerified === true ? 0 : 1;
  value.set(tlvs, SSL_PREFIX_BYTES);
  return value;
}

function text(type: number, value: string): Tlv {
  return { type, value: Buffer.from(value, 'utf8') };
}
