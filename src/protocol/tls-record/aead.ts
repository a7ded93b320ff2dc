import { type Direction, IV_BYTES, type RecordState, TLS13 } from './state.ts';

/** What seals and opens one record, and which nonce and additional data a record has. */

/** Bytes that a seal is longer than what it seals: the tag, of all ciphers here. */
export const TAG_BYTES = 16;
export const HEADER_BYTES = 5;
/** Most that a record is longer than its plaintext: header, type or explicit nonce, tag. */
export const OVERHEAD_BYTES = HEADER_BYTES + 8 + TAG_BYTES;

/** Authenticated encryption with one key each time. Addresses are those of memory that does not move. */
export interface Aead {
  /** 12 bytes, of the next call. */
  readonly nonce: Uint8Array;
  /** Additional data of the next call, at most 13 bytes. */
  readonly aad: Uint8Array;
  /**
   * Encrypts `length` bytes at `from`, then the byte `trailer` unless that is negative, to `to`, which must not overlap, and puts the tag behind it.
   * @throws Error where OpenSSL fails, such as without memory
   */
  seal(
    cipher: number,
    keyAddress: number,
    aadBytes: number,
    from: number,
    length: number,
    trailer: number,
    to: number,
  ): void;
  /** Decrypts `length` bytes, behind which is their tag, to `to`. False: they are forged, and what is at `to` is void. */
  open(
    cipher: number,
    keyAddress: number,
    aadBytes: number,
    from: number,
    length: number,
    to: number,
  ): boolean;
  /** Forgets the keys that it has used last with this cipher. */
  wipe(cipher: number): void;
}

/** Of a record of TLS 1.3: its header (RFC 8446, 5.2). Returns how many bytes. */
export function prepare13(
  aead: Aead,
  state: RecordState,
  direction: Direction,
  header: Uint8Array,
  at: number,
): number {
  state.nonce(direction, aead.nonce);
  for (let i = 0; i < HEADER_BYTES; i++) aead.aad[i] = header[at + i] as number;
  return HEADER_BYTES;
}

/**
 * Of a record of TLS 1.2: its sequence number and what its header would be if it were plain (RFC 5246, 6.2.3.3). Returns how many bytes.
 * @param at of the header, behind which is the explicit nonce, where there is one
 */
export function prepare12(
  aead: Aead,
  state: RecordState,
  direction: Direction,
  header: Uint8Array,
  at: number,
  length: number,
): number {
  const { nonce, aad } = aead;
  if (state.cipher.explicitNonceBytes === 0) state.nonce(direction, nonce);
  else {
    state.salt(direction, nonce);
    for (let i = 4; i < IV_BYTES; i++) nonce[i] = header[at + 1 + i] as number;
  }
  state.sequence(direction, aad, 0);
  for (let i = 0; i < 3; i++) aad[8 + i] = header[at + i] as number;
  aad[11] = length >>> 8;
  aad[12] = length & 0xff;
  return 13;
}

/** Bytes between the header of a record and its ciphertext. */
export function explicitBytes(state: RecordState): number {
  return state.has(TLS13) ? 0 : state.cipher.explicitNonceBytes;
}
