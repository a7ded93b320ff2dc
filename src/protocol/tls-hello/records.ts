/** The record layer below the first handshake message (RFC 8446, 5.1), which may be split over several records. */

/**
 * Records of a ClientHello together. Post-quantum key shares make some 1,800 bytes, session tickets and padding a few
 * more; servers commonly take up to 16 KiB.
 */
export const MAX_HELLO_BYTES = 16_384;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
/** RFC 8446, 5.1. */
const MAX_FRAGMENT_BYTES = 16_384;

/** Senders split a ClientHello into a few records at the most; each look begins with the first of them. */
const MAX_RECORDS = 64;

export type Waiting = { readonly kind: 'incomplete' } | { readonly kind: 'refused'; readonly detail: string };

const incomplete: Waiting = { kind: 'incomplete' };

function refused(detail: string): Waiting {
  return { kind: 'refused', detail };
}

/** The body of the ClientHello, copied only where several records carry it; or why it is not there. */
export function takeHandshake(bytes: Uint8Array, start: number, end: number): Uint8Array | Waiting {
  const fragments: Uint8Array[] = [];
  let have = 0;
  let needed = MESSAGE_HEADER_BYTES;
  for (let at = start; have < needed; ) {
    const fault = recordFault(bytes, at, end);
    if (fault !== undefined) return refused(fault);
    if (end - at < RECORD_HEADER_BYTES) return incomplete;
    if (fragments.length === MAX_RECORDS) return refused(`a ClientHello in more than ${MAX_RECORDS} records`);
    const from = at + RECORD_HEADER_BYTES;
    const behind = from + ((bytes[at + 3] as number) << 8) + (bytes[at + 4] as number);
    const fragment = bytes.subarray(from, Math.min(behind, end));
    fragments.push(fragment);
    have += fragment.length;
    if (have > 0 && firstByte(fragments) !== CLIENT_HELLO) return refused('no ClientHello (RFC 8446, 4)');
    if (have >= MESSAGE_HEADER_BYTES && needed === MESSAGE_HEADER_BYTES)
      needed = MESSAGE_HEADER_BYTES + lengthOf(fragments);
    if (behind - start > MAX_HELLO_BYTES || needed > MAX_HELLO_BYTES)
      return refused(`a ClientHello of more than ${MAX_HELLO_BYTES} bytes`);
    if (behind > end && have < needed) return incomplete;
    at = behind;
  }
  return joined(fragments).subarray(MESSAGE_HEADER_BYTES, needed);
}

/** What is wrong with the header of a record, as far as it is there. */
function recordFault(bytes: Uint8Array, at: number, end: number): string | undefined {
  if (at < end && bytes[at] !== HANDSHAKE) return 'no TLS handshake (RFC 8446, 5.1)';
  if (at + 1 < end && bytes[at + 1] !== 3) return 'no version of TLS (RFC 8446, 5.1)';
  if (end - at < RECORD_HEADER_BYTES) return undefined;
  const length = ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number);
  if (length === 0 || length > MAX_FRAGMENT_BYTES) return `a record of ${length} bytes (RFC 8446, 5.1)`;
  return undefined;
}

function firstByte(fragments: readonly Uint8Array[]): number | undefined {
  return fragments.find(({ length }) => length > 0)?.[0];
}

/** Of the message, from its header; the four bytes may themselves be split. */
function lengthOf(fragments: readonly Uint8Array[]): number {
  const header = joined(fragments.slice(0, MESSAGE_HEADER_BYTES));
  return ((header[1] as number) << 16) | ((header[2] as number) << 8) | (header[3] as number);
}

function joined(fragments: readonly Uint8Array[]): Uint8Array {
  const [first] = fragments;
  return fragments.length === 1 && first !== undefined ? first : Buffer.concat(fragments);
}
