import { BreakwaterError } from '../../base/errors.ts';
import { type Aead, TAG_BYTES } from '../../protocol/tls-record/aead.ts';
import type { Hmac } from '../../protocol/tls-record/key-schedule.ts';
import { IV_BYTES } from '../../protocol/tls-record/state.ts';
import { aeadCiphers, type HashName } from '../../protocol/tls-record/suites.ts';
import type { Libc, Pinned } from './libc.ts';
import { NativeLibrary } from './native-library.ts';

/**
 * The ciphers of OpenSSL (EVP), for records that are our own. One context for each cipher and direction serves all connections
 * of a thread: the key is set anew for each record, which costs 0.1 µs, and an idle connection costs no context.
 */

const INIT = 'uintptr_t ctx, uintptr_t cipher, uintptr_t key, uintptr_t iv, uintptr_t params';
const UPDATE = 'uintptr_t ctx, uintptr_t out, uintptr_t outLength, uintptr_t in, int length';
const FINAL = 'uintptr_t ctx, uintptr_t out, uintptr_t outLength';

/** OSSL_PARAM(3): type of a string of octets, and the size of one parameter. */
const OSSL_PARAM_OCTET_STRING = 5;
const PARAM_BYTES = 40;

const AAD_BYTES_MAX = 13;
const DIGEST_BYTES_MAX = 64;
const HMAC_INPUT_BYTES_MAX = 256;

type Numbers = (...args: number[]) => number;

class Evp extends NativeLibrary {
  readonly fetch: (library: number, name: string, properties: null) => number = this.bind(
    'uintptr_t EVP_CIPHER_fetch(uintptr_t library, const char *name, const char *properties)',
  );
  readonly newContext: () => number = this.bind('uintptr_t EVP_CIPHER_CTX_new()');
  readonly freeContext: (context: number) => void = this.bind('void EVP_CIPHER_CTX_free(uintptr_t ctx)');
  readonly encryptInit: Numbers = this.bind(`int EVP_EncryptInit_ex2(${INIT})`);
  readonly encryptUpdate: Numbers = this.bind(`int EVP_EncryptUpdate(${UPDATE})`);
  readonly encryptFinal: Numbers = this.bind(`int EVP_EncryptFinal_ex(${FINAL})`);
  readonly decryptInit: Numbers = this.bind(`int EVP_DecryptInit_ex2(${INIT})`);
  readonly decryptUpdate: Numbers = this.bind(`int EVP_DecryptUpdate(${UPDATE})`);
  readonly decryptFinal: Numbers = this.bind(`int EVP_DecryptFinal_ex(${FINAL})`);
  readonly getParams: (context: number, params: number) => number = this.bind(
    'int EVP_CIPHER_CTX_get_params(uintptr_t ctx, uintptr_t params)',
  );
  readonly clearErrors: () => void = this.bind('void ERR_clear_error()');
  readonly hmac: Numbers = this.bind(
    'uintptr_t HMAC(uintptr_t hash, uintptr_t key, int keyLength, uintptr_t data, size_t length, uintptr_t digest, uintptr_t digestLength)',
  );
  readonly hashes: Readonly<Record<HashName, number>> = {
    sha256: this.bind<() => number>('uintptr_t EVP_sha256()')(),
    sha384: this.bind<() => number>('uintptr_t EVP_sha384()')(),
  };
}

let loaded: Evp | undefined;

function loadEvp(): Evp {
  loaded ??= new Evp('EVP_EncryptInit_ex2', ['libcrypto.so.3']); // new in version 3
  return loaded;
}

/** What the engine asks for besides. */
export interface EvpAead extends Aead {
  /** Not every OpenSSL has every cipher: a validated one may leave some out. */
  supports(cipher: number): boolean;
  close(): void;
}

/** @throws BreakwaterError ENGINE_UNAVAILABLE where OpenSSL does not do what is asked of it; see `checkAead` */
export function createAead(libc: Libc): EvpAead {
  const evp = loadEvp();
  const nonce = libc.pin(IV_BYTES);
  const aad = libc.pin(AAD_BYTES_MAX);
  const trailer = libc.pin(1);
  const length = libc.pin(4);
  const zeros = libc.pin(32);
  const tag = createTagParam(libc);
  const sealing: number[] = [];
  const opening: number[] = [];
  for (const { number, name } of aeadCiphers) {
    const cipher = evp.fetch(0, name, null);
    evp.clearErrors();
    if (cipher === 0) continue;
    sealing[number] = context(cipher, evp.encryptInit);
    opening[number] = context(cipher, evp.decryptInit);
  }

  /** A context knows its cipher for good; keys come with each record. */
  function context(cipher: number, init: Numbers): number {
    const made = evp.newContext();
    if (made === 0 || init(made, cipher, zeros.address, zeros.address, 0) !== 1)
      throw unavailable('OpenSSL has no memory for a cipher');
    return made;
  }

  const aead: EvpAead = {
    supports: (cipher) => sealing[cipher] !== undefined,
    nonce: nonce.bytes,
    aad: aad.bytes,
    seal(cipher, key, aadBytes, from, bytes, last, to) {
      const ctx = sealing[cipher] as number;
      let done = evp.encryptInit(ctx, 0, key, nonce.address, 0);
      done &= evp.encryptUpdate(ctx, 0, length.address, aad.address, aadBytes);
      if (bytes > 0) done &= evp.encryptUpdate(ctx, to, length.address, from, bytes);
      let end = to + bytes;
      if (last >= 0) {
        trailer.bytes[0] = last;
        done &= evp.encryptUpdate(ctx, end++, length.address, trailer.address, 1);
      }
      done &= evp.encryptFinal(ctx, end, length.address);
      done &= evp.getParams(ctx, tag.at(end));
      if (done !== 1) throw new BreakwaterError('INTERNAL', 'OpenSSL has not sealed a record');
    },
    open(cipher, key, aadBytes, from, bytes, to) {
      const ctx = opening[cipher] as number;
      let done = evp.decryptInit(ctx, 0, key, nonce.address, tag.at(from + bytes));
      done &= evp.decryptUpdate(ctx, 0, length.address, aad.address, aadBytes);
      if (bytes > 0) done &= evp.decryptUpdate(ctx, to, length.address, from, bytes);
      done &= evp.decryptFinal(ctx, to + bytes, length.address);
      if (done === 1) return true;
      evp.clearErrors();
      return false;
    },
    wipe(cipher) {
      evp.encryptInit(sealing[cipher] as number, 0, zeros.address, zeros.address, 0);
      evp.decryptInit(opening[cipher] as number, 0, zeros.address, zeros.address, 0);
    },
    close() {
      for (const ctx of [...sealing, ...opening]) if (ctx !== undefined) evp.freeContext(ctx); // which wipes it
    },
  };
  checkAead(libc, aead);
  return aead;
}

/** A list of one parameter, where the tag is. */
function createTagParam(libc: Libc) {
  const params = libc.pin(2 * PARAM_BYTES + 4); // the list, which ends with zeros, and the name that it points to
  params.bytes.write('tag', 2 * PARAM_BYTES);
  const words = new Uint32Array(params.bytes.buffer, params.bytes.byteOffset, PARAM_BYTES / 4);
  params.bytes.writeBigUInt64LE(BigInt(params.address + 2 * PARAM_BYTES), 0);
  params.bytes.writeUInt32LE(OSSL_PARAM_OCTET_STRING, 8);
  params.bytes.writeBigUInt64LE(BigInt(TAG_BYTES), 24);
  return {
    /** The list, for a tag at this address. */
    at(address: number): number {
      words[4] = address % 2 ** 32;
      words[5] = address / 2 ** 32;
      return params.address;
    },
  };
}

/**
 * Seals and opens one record with each cipher, as it is and forged: a library that lets a forged one through, or gives back
 * something else, is not used.
 */
function checkAead(libc: Libc, aead: EvpAead): void {
  const key = libc.pin(32);
  const plain = libc.pin(20);
  const sealed = libc.pin(64);
  const opened = libc.pin(64);
  key.bytes.fill(7);
  plain.bytes.fill(3);
  for (const { number, name } of aeadCiphers.filter((cipher) => aead.supports(cipher.number))) {
    const open = () => aead.open(number, key.address, AAD_BYTES_MAX, sealed.address, 21, opened.address);
    aead.seal(number, key.address, AAD_BYTES_MAX, plain.address, 20, 23, sealed.address);
    const isSealed = !sealed.bytes.subarray(0, 20).equals(plain.bytes);
    const isOpened = open() && opened.bytes.subarray(0, 20).equals(plain.bytes) && opened.bytes[20] === 23;
    const refuses = [0, 20, 21, 21 + TAG_BYTES - 1].every((at) => {
      sealed.bytes[at] = (sealed.bytes[at] as number) ^ 1;
      const isRefused = !open();
      sealed.bytes[at] = (sealed.bytes[at] as number) ^ 1;
      return isRefused;
    });
    if (!isSealed || !isOpened || !refuses) throw unavailable(`${name} of this OpenSSL fails its check`);
    aead.wipe(number);
  }
}

/** HMAC(3) in one call. Not for long keys or inputs, which TLS does not have here. */
export function createHmac(libc: Libc): Hmac {
  const evp = loadEvp();
  const key = libc.pin(DIGEST_BYTES_MAX);
  const data = libc.pin(HMAC_INPUT_BYTES_MAX);
  const digest = libc.pin(DIGEST_BYTES_MAX);
  const length: Pinned = libc.pin(4);
  return (hash, secret, input) => {
    key.bytes.set(secret);
    data.bytes.set(input);
    const args = [key.address, secret.length, data.address, input.length] as const;
    if (evp.hmac(evp.hashes[hash], ...args, digest.address, length.address) === 0)
      throw new BreakwaterError('INTERNAL', 'OpenSSL has not computed a hash');
    const result = Buffer.allocUnsafeSlow(length.bytes.readUInt32LE(0));
    digest.bytes.copy(result);
    for (const { bytes } of [key, data, digest]) bytes.fill(0);
    return result;
  };
}

function unavailable(reason: string): BreakwaterError {
  return new BreakwaterError('ENGINE_UNAVAILABLE', `${reason}; set tls.records to openssl`);
}
