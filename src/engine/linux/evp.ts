import { BreakwaterError } from '../../base/errors.ts';
import { type Aead, TAG_BYTES } from '../../protocol/tls-record/aead.ts';
import type { Hmac } from '../../protocol/tls-record/key-schedule.ts';
import { IV_BYTES } from '../../protocol/tls-record/state.ts';
import { aeadCiphers, type HashName } from '../../protocol/tls-record/suites.ts';
import type { Libc, Pinned } from './libc.ts';
import { NativeLibrary } from './native-library.ts';
import {
  type CipherFunctions,
  CRYPTO_3,
  loadProviderCiphers,
  type ProviderCiphers,
} from './provider-ciphers.ts';

/**
 * The ciphers and hashes of OpenSSL, for records that are our own. One context for each cipher and direction serves all connections
 * of a thread: the key is set anew for each record, which costs 0.1 µs, and an idle connection costs no context.
 */

/** OSSL_PARAM(3): types, and the size of one parameter. */
const OSSL_PARAM_UTF8_STRING = 4;
const OSSL_PARAM_OCTET_STRING = 5;
const PARAM_BYTES = 40;

const AAD_BYTES_MAX = 13;
const DIGEST_BYTES_MAX = 64;
const HMAC_INPUT_BYTES_MAX = 256;

type Numbers = (...args: number[]) => number;

class Evp extends NativeLibrary {
  readonly fetchMac: (library: number, name: string, properties: null) => number = this.bind(
    'uintptr_t EVP_MAC_fetch(uintptr_t library, const char *name, const char *properties)',
  );
  readonly newMac: (mac: number) => number = this.bind('uintptr_t EVP_MAC_CTX_new(uintptr_t mac)');
  readonly freeMac: (context: number) => void = this.bind('void EVP_MAC_CTX_free(uintptr_t ctx)');
  readonly macInit: Numbers = this.bind(
    'int EVP_MAC_init(uintptr_t ctx, uintptr_t key, size_t length, uintptr_t params)',
  );
  readonly macUpdate: Numbers = this.bind('int EVP_MAC_update(uintptr_t ctx, uintptr_t data, size_t length)');
  readonly macFinal: Numbers = this.bind(
    'int EVP_MAC_final(uintptr_t ctx, uintptr_t out, uintptr_t outLength, size_t size)',
  );
}

let loaded: Evp | undefined;

/** @throws Error where this OpenSSL lacks one of its functions */
export function loadEvp(): Evp {
  loaded ??= new Evp(...CRYPTO_3);
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
  const library = loadProviderCiphers();
  const nonce = libc.pin(IV_BYTES);
  const aad = libc.pin(AAD_BYTES_MAX);
  const seals = createSeals(libc, library, nonce.address, aad.address);
  const ciphers: (Seals | undefined)[] = [];
  for (const { number, name, keyBytes } of aeadCiphers) {
    const functions = library.functionsOf(libc, name);
    ciphers[number] = functions && seals(functions, keyBytes);
  }
  const aead: EvpAead = {
    supports: (cipher) => ciphers[cipher] !== undefined,
    nonce: nonce.bytes,
    aad: aad.bytes,
    seal(cipher, key, aadBytes, from, bytes, last, to) {
      (ciphers[cipher] as Seals).seal(key, aadBytes, from, bytes, last, to);
    },
    open: (cipher, key, aadBytes, from, bytes, to) =>
      (ciphers[cipher] as Seals).open(key, aadBytes, from, bytes, to),
    wipe: (cipher) => ciphers[cipher]?.wipe(),
    close() {
      for (const cipher of ciphers) cipher?.close();
    },
  };
  checkAead(libc, aead);
  return aead;
}

/** One cipher: see `Aead`. */
interface Seals {
  /** What it has the addresses of, which must not be collected before it. */
  readonly memory: readonly Pinned[];
  seal(key: number, aadBytes: number, from: number, bytes: number, last: number, to: number): void;
  open(key: number, aadBytes: number, from: number, bytes: number, to: number): boolean;
  wipe(): void;
  close(): void;
}

/**
 * What makes the contexts of a cipher; keys come with each record. Addresses are constants, because V8 makes an object of every
 * number beyond 2^31 that is given to a function of C, but for one that is an object already.
 */
function createSeals(
  libc: Libc,
  library: ProviderCiphers,
  nonce: number,
  aad: number,
): (functions: CipherFunctions, keyBytes: number) => Seals {
  const trailer = libc.pin(1);
  const trailerAt = trailer.address;
  const length = libc.pin(8);
  const lengthAt = length.address;
  const zeroKey = libc.pin(32);
  const zeros = zeroKey.address;
  const tag = createParam(libc, 'tag', OSSL_PARAM_OCTET_STRING);
  const tagAt = tag.address;

  return (functions, keyBytes) => {
    const { encryptInit, decryptInit, update, final, getParams, freeContext } = functions;
    const sealing = functions.newContext();
    const opening = functions.newContext();
    if (sealing === 0 || opening === 0) throw unavailable('OpenSSL has no memory for a cipher');
    return {
      memory: [length, zeroKey],
      seal(key, aadBytes, from, bytes, last, to) {
        let done = encryptInit(sealing, key, keyBytes, nonce, IV_BYTES, 0);
        done &= update(sealing, 0, lengthAt, aadBytes, aad, aadBytes);
        if (bytes > 0) done &= update(sealing, to, lengthAt, bytes, from, bytes);
        let end = to + bytes;
        if (last >= 0) {
          trailer.bytes[0] = last;
          done &= update(sealing, end++, lengthAt, 1, trailerAt, 1);
        }
        done &= final(sealing, to, lengthAt, 0);
        tag.point(end, TAG_BYTES);
        done &= getParams(sealing, tagAt);
        if (done !== 1) throw new BreakwaterError('INTERNAL', 'OpenSSL has not sealed a record');
      },
      open(key, aadBytes, from, bytes, to) {
        tag.point(from + bytes, TAG_BYTES);
        let done = decryptInit(opening, key, keyBytes, nonce, IV_BYTES, tagAt);
        done &= update(opening, 0, lengthAt, aadBytes, aad, aadBytes);
        if (bytes > 0) done &= update(opening, to, lengthAt, bytes, from, bytes);
        done &= final(opening, to, lengthAt, 0);
        if (done === 1) return true;
        library.clearErrors();
        return false;
      },
      wipe() {
        encryptInit(sealing, zeros, keyBytes, zeros, IV_BYTES, 0);
        decryptInit(opening, zeros, keyBytes, zeros, IV_BYTES, 0);
      },
      close() {
        freeContext(sealing);
        freeContext(opening);
      },
    };
  };
}

/** A list of one parameter (OSSL_PARAM(3)), which ends with zeros; behind it are its name, and a text that it may point to. */
function createParam(libc: Libc, name: string, type: number) {
  const params = libc.pin(2 * PARAM_BYTES + 32);
  const { bytes, address } = params;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, PARAM_BYTES / 4);
  const nameAt = 2 * PARAM_BYTES;
  const textAt = nameAt + 16;
  bytes.write(name, nameAt);
  bytes.writeBigUInt64LE(BigInt(address + nameAt), 0);
  bytes.writeUInt32LE(type, 8);
  function point(to: number, length: number): void {
    words[4] = to; // the low half of it
    words[5] = to / 2 ** 32;
    words[6] = length;
  }
  return {
    address,
    point,
    text(value: string): void {
      bytes.write(value, textAt);
      point(address + textAt, value.length);
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

/** HMAC by contexts that are made once: a third of the time of HMAC(3), which looks everything up anew. */
export function createHmac(libc: Libc): Hmac & { close(): void } {
  const evp = loadEvp();
  const data = libc.pin(HMAC_INPUT_BYTES_MAX);
  const digest = libc.pin(DIGEST_BYTES_MAX);
  const length = libc.pin(8);
  const zeros = libc.pin(DIGEST_BYTES_MAX);
  const contexts: Readonly<Record<HashName, number>> = {
    sha256: context('SHA256'),
    sha384: context('SHA384'),
  };

  function context(hash: string): number {
    const made = evp.newMac(evp.fetchMac(0, 'HMAC', null));
    const param = createParam(libc, 'digest', OSSL_PARAM_UTF8_STRING);
    param.text(hash);
    if (made === 0 || evp.macInit(made, zeros.address, DIGEST_BYTES_MAX, param.address) !== 1)
      throw unavailable(`OpenSSL has no HMAC with ${hash}`);
    return made;
  }

  return {
    digest: digest.bytes,
    run(hash, key, keyBytes, input) {
      const ctx = contexts[hash];
      data.bytes.set(input);
      let done = evp.macInit(ctx, key, keyBytes, 0);
      done &= evp.macUpdate(ctx, data.address, input.length);
      done &= evp.macFinal(ctx, digest.address, length.address, DIGEST_BYTES_MAX);
      if (done !== 1) throw new BreakwaterError('INTERNAL', 'OpenSSL has not computed a hash');
    },
    wipe(hash) {
      evp.macInit(contexts[hash], zeros.address, DIGEST_BYTES_MAX, 0);
      data.bytes.fill(0);
      digest.bytes.fill(0);
    },
    close() {
      for (const ctx of Object.values(contexts)) evp.freeMac(ctx);
    },
  };
}

function unavailable(reason: string): BreakwaterError {
  return new BreakwaterError('ENGINE_UNAVAILABLE', reason);
}
