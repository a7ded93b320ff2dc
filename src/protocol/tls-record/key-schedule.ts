import {
  CLIENT,
  type Direction,
  IV_BYTES,
  type Memory,
  READ,
  type RecordState,
  TLS13,
  WRITE,
} from './state.ts';
import { type AeadCipher, aeadCiphers, type HashName, hashBytes } from './suites.ts';

/** How keys and IVs of records come from the secrets of a handshake (RFC 8446, 7; RFC 5246, 6.3). */

/** HMAC, whose key is at an address, so that secrets stay where they are. */
export interface Hmac {
  /** What `run` has computed, until it is called again, or `wipe`. */
  readonly digest: Uint8Array;
  /** @param keyAddress 0: the key of the last call with this hash @param data at most 256 bytes */
  run(hash: HashName, keyAddress: number, keyBytes: number, data: Uint8Array): void;
  /** Forgets what it has used last with this hash. */
  wipe(hash: HashName): void;
}

/** What a handshake leaves to the records behind it. */
export interface Established {
  readonly cipher: AeadCipher;
  readonly isClient: boolean;
  /** Most bytes of plaintext in a record. */
  readonly fragmentLimit: number;
}

/** For HKDF-Expand-Label without a context (RFC 8446, 7.1), where one block of the hash is enough. */
function label(name: string, length: number): Uint8Array {
  const text = Buffer.from(`tls13 ${name}`);
  return Buffer.from([length >> 8, length & 0xff, text.length, ...text, 0, 1]); // the last: number of the block
}

/** By the number of the cipher. */
const labels = new Map(
  aeadCiphers.map(({ number, keyBytes, hash }) => [
    number,
    {
      key: label('key', keyBytes),
      iv: label('iv', IV_BYTES),
      update: label('traffic upd', hashBytes[hash]),
    },
  ]),
);

type Labels = NonNullable<ReturnType<(typeof labels)['get']>>;

/**
 * The state has the traffic secrets of both directions already.
 * @param sent records that the handshake has sent with our secret: the tickets of a server
 */
export function beginTls13(state: RecordState, hmac: Hmac, established: Established, sent: number): void {
  const { cipher, isClient, fragmentLimit } = established;
  state.begin(cipher, TLS13 | (isClient ? CLIENT : 0), fragmentLimit);
  deriveKeys(state, hmac, READ);
  deriveKeys(state, hmac, WRITE);
  hmac.wipe(cipher.hash);
  state.skip(WRITE, sent);
}

/**
 * Each side has sent one record with these keys, its Finished.
 * @param hash of the suite's pseudorandom function
 * @param randoms 32 bytes of the server, then 32 of the client
 */
export function beginTls12(
  state: RecordState,
  hmac: Hmac,
  established: Established,
  hash: HashName,
  master: Memory,
  randoms: Uint8Array,
): void {
  const { cipher, isClient, fragmentLimit } = established;
  const { keyBytes, fixedIvBytes } = cipher;
  state.begin(cipher, isClient ? CLIENT : 0, fragmentLimit);
  const block = Buffer.alloc(2 * (keyBytes + fixedIvBytes));
  expandTls12(hmac, hash, master, randoms, block);
  const [client, server] = isClient ? ([WRITE, READ] as const) : ([READ, WRITE] as const);
  state.setKey(client, block, 0, keyBytes);
  state.setKey(server, block, keyBytes, keyBytes);
  state.setIv(client, block, 2 * keyBytes, fixedIvBytes);
  state.setIv(server, block, 2 * keyBytes + fixedIvBytes, fixedIvBytes);
  block.fill(0);
  for (const direction of [READ, WRITE] as const) state.skip(direction, 1);
}

/** P_hash for the keys of a connection (RFC 5246, 5 and 6.3). */
function expandTls12(hmac: Hmac, hash: HashName, master: Memory, randoms: Uint8Array, to: Buffer): void {
  const size = hashBytes[hash];
  const seed = Buffer.concat([Buffer.from('key expansion'), randoms]);
  const input = Buffer.alloc(size + seed.length);
  input.set(seed, size);
  hmac.run(hash, master.address, master.bytes.length, seed);
  for (let have = 0; ; ) {
    input.set(hmac.digest.subarray(0, size)); // A(i)
    hmac.run(hash, 0, 0, input);
    to.set(hmac.digest.subarray(0, Math.min(size, to.length - have)), have);
    have += size;
    if (have >= to.length) break;
    hmac.run(hash, 0, 0, input.subarray(0, size));
  }
  input.fill(0);
  hmac.wipe(hash);
}

/** The next generation of a direction's keys (RFC 8446, 7.2). */
export function updateKeys(state: RecordState, hmac: Hmac, direction: Direction): void {
  const { cipher } = state;
  const { update } = labels.get(cipher.number) as Labels;
  const size = hashBytes[cipher.hash];
  hmac.run(cipher.hash, state.secretAddress(direction), size, update);
  state.setSecret(direction, hmac.digest, 0, size);
  deriveKeys(state, hmac, direction);
  hmac.wipe(cipher.hash);
}

/** Of the secret that the state has. */
function deriveKeys(state: RecordState, hmac: Hmac, direction: Direction): void {
  const { number, hash, keyBytes } = state.cipher;
  const { key, iv } = labels.get(number) as Labels;
  const secret = state.secretAddress(direction);
  hmac.run(hash, secret, hashBytes[hash], key);
  state.setKey(direction, hmac.digest, 0, keyBytes);
  hmac.run(hash, 0, 0, iv);
  state.setIv(direction, hmac.digest, 0, IV_BYTES);
}
