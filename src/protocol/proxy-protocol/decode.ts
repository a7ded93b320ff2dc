/** Reads PROXY protocol headers of both versions; see `proxy-protocol.txt` of HAProxy. */

import { decodeV1 } from './decode-v1.ts';
import { decodeV2 } from './decode-v2.ts';
import { signatureV2 } from './header.ts';
import { type Decoded, incomplete } from './result.ts';

export type { Endpoint, ProxyHeader } from './header.ts';
export type { Decoded, ProxyFault } from './result.ts';

/**
 * Looks for a PROXY protocol header, of either version, at the start of [start, end). It keeps no state: it is asked
 * again over the same bytes when as many are there as it wants, and refuses as soon as they allow. Of a header of version 2
 * it wants the rest at once, so that one that comes byte by byte is not read again for each. Never wants more than
 * MAX_V2_BYTES.
 */
export function decodeProxyHeader(bytes: Uint8Array, start: number, end: number): Decoded {
  if (start >= end) return incomplete(1);
  return bytes[start] === signatureV2[0] ? decodeV2(bytes, start, end) : decodeV1(bytes, start, end);
}
