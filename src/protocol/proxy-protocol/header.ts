import type { Tlv } from './tlv.ts';

/**
 * The PROXY protocol, versions 1 and 2 (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt): a header before
 * the first byte of a connection that says whose connection it really is.
 */

export interface Endpoint {
  /** IPv4 or IPv6 literal. */
  readonly address: string;
  readonly port: number;
}

export interface ProxyHeader {
  readonly version: 1 | 2;
  /** The device. Undefined: the sender does not know, or speaks for itself; the real addresses hold (clause 2). */
  readonly source: Endpoint | undefined;
  /** Where the device connected to. */
  readonly destination: Endpoint | undefined;
  /** In their order, PP2_TYPE_CRC32C and PP2_TYPE_NOOP too; none in version 1. */
  readonly tlvs: readonly Tlv[];
}

/** Clause 2.2: cannot begin a line of text, a TLS handshake or an MQTT packet. */
export const signatureV2 = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10);

/** Signature, version and command, family, length. */
export const V2_PREFIX_BYTES = 16;
/** Longest line of version 1, CRLF included (clause 2.1). */
export const MAX_V1_BYTES = 107;
/**
 * Longest header of version 2 that is taken. The protocol allows 64 KiB, but asks senders to stay below one segment;
 * twice that leaves room for the vectors of a chain of proxies.
 */
export const MAX_V2_BYTES = 2_048;
