import { CLIENT, type Direction, IV_BYTES, READ, type RecordState, TLS13, WRITE } from './state.ts';
import type { AeadCipher, HashName } from './suites.ts';

/** How keys and IVs of records come from the secrets of a handshake (RFC 8446, 7; RFC 5246, 6.3). */

export type Hmac = (hash: HashName, key: Uint8Array, data: Uint8Array) => Uint8Array;

const NOTHING = new Uint8Array(0);
const hashBytes: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48 };

/** Bytes of a traffic secret of TLS 1.3. */
export function secretBytes(cipher: AeadCipher): number {
  return hashBytes[cipher.hash];
}

/**
 * HKDF-Expand-Label without a context (RFC 8446, 7.1), for as much as one hash gives: what TLS asks for is never longer.
 */
function expandLabel(
  hmac: Hmac,
  hash: HashName,
  secret: Uint8Array,
  label: string,
  length: number,
): Uint8Array {
  const info = Buffer.from(`..\u0000tls13 ${label}\u0000\u0001`, 'latin1'); // behind it: the number of the first block
  info.writeUInt16BE(length, 0);
  info[2] = 6 + label.length;
  return hmac(hash, secret, info).subarray(0, length);
}

/** What a handshake leaves to the records behind it. */
interface Established {
  readonly cipher: AeadCipher;
  readonly isClient: boolean;
  /** Most bytes of plaintext in a record. */
  readonly fragmentLimit: number;
}

/** @param sent records that the handshake has sent with the server's secret: its tickets */
export function beginTls13(
  state: RecordState,
  hmac: Hmac,
  established: Established,
  secrets: { readonly client: Uint8Array; readonly server: Uint8Array },
  sent: number,
): void {
  const { cipher, isClient, fragmentLimit } = established;
  state.begin(cipher, TLS13 | (isClient ? CLIENT : 0), fragmentLimit);
  setSecret(state, hmac, READ, isClient ? secrets.server : secrets.client);
  setSecret(state, hmac, WRITE, isClient ? secrets.client : secrets.server);
  state.skip(WRITE, sent);
}

/** Each side has sent one record with these keys, its Finished. @param hash of the suite's pseudorandom function */
export function beginTls12(
  state: RecordState,
  hmac: Hmac,
  established: Established,
  hash: HashName,
  master: Uint8Array,
  randoms: { readonly client: Uint8Array; readonly server: Uint8Array },
): void {
  const { cipher, isClient, fragmentLimit } = established;
  const { keyBytes, fixedIvBytes } = cipher;
  state.begin(cipher, isClient ? CLIENT : 0, fragmentLimit);
  const seed = Buffer.concat([Buffer.from('key expansion'), randoms.server, randoms.client]);
  const block = expandTls12(hmac, hash, master, seed, 2 * (keyBytes + fixedIvBytes));
  const [client, server] = isClient ? ([WRITE, READ] as const) : ([READ, WRITE] as const);
  const ivs = block.subarray(2 * keyBytes);
  state.setKeys(client, NOTHING, block.subarray(0, keyBytes), ivs.subarray(0, fixedIvBytes));
  state.setKeys(server, NOTHING, block.subarray(keyBytes, 2 * keyBytes), ivs.subarray(fixedIvBytes));
  block.fill(0);
  for (const direction of [READ, WRITE] as const) state.skip(direction, 1);
}

/** P_hash (RFC 5246, 5). */
function expandTls12(hmac: Hmac, hash: HashName, secret: Uint8Array, seed: Uint8Array, length: number) {
  const out = Buffer.alloc(length);
  let a: Uint8Array = seed;
  for (let have = 0; have < length; have += hashBytes[hash]) {
    a = hmac(hash, secret, a);
    const part = hmac(hash, secret, Buffer.concat([a, seed]));
    out.set(part.subarray(0, length - have), have);
    part.fill(0);
  }
  return out;
}

/** The next generation of a direction's keys (RFC 8446, 7.2). */
export function updateKeys(state: RecordState, hmac: Hmac, direction: Direction): void {
  const { cipher } = state;
  const length = secretBytes(cipher);
  setSecret(
    state,
    hmac,
    direction,
    expandLabel(hmac, cipher.hash, state.secret(direction, length), 'traffic upd', length),
  );
}

/** The secret is wiped; the state has its own. */
function setSecret(state: RecordState, hmac: Hmac, direction: Direction, secret: Uint8Array): void {
  const { hash, keyBytes } = state.cipher;
  const key = expandLabel(hmac, hash, secret, 'key', keyBytes);
  const iv = expandLabel(hmac, hash, secret, 'iv', IV_BYTES);
  state.setKeys(direction, secret, key, iv);
  for (const each of [secret, key, iv]) each.fill(0);
}
