import type { Libc, Pinned } from './libc.ts';
import { NativeLibrary } from './native-library.ts';
import { OPENSSL_3, type OpenSsl } from './openssl.ts';
import { pinned } from './tls-material.ts';

/** Seals and opens the session tickets of devices with the keys that threads and proxies share. */

/** The parts of a ticket key: its name, a key for HMAC and one for AES. Node's own (`ticketKeys` of `tls.createServer`) are the same. */
const NAME_BYTES = 16;
const HMAC_BYTES = 16;
const IV_BYTES = 16;

/** What OpenSSL is answered (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)). */
const NONE = 0;
const TAKEN = 1;
const TAKEN_AND_RENEWED = 2;

const CIPHER_START = 'uintptr_t cipher, uintptr_t type, uintptr_t engine, uintptr_t key, uintptr_t iv';

type Numbers = (...args: number[]) => number;

/** HMAC with SHA-256, AES-128 in CBC mode, keys at addresses; false where memory is out. */
class Ciphers extends NativeLibrary {
  private readonly sha256 = this.bind<() => number>('uintptr_t EVP_sha256()')();
  private readonly aes128 = this.bind<() => number>('uintptr_t EVP_aes_128_cbc()')();
  private readonly randomBytes: Numbers = this.bind('int RAND_bytes(uintptr_t bytes, int length)');
  private readonly initHmac: Numbers = this.bind(
    'int HMAC_Init_ex(uintptr_t hmac, uintptr_t key, int length, uintptr_t hash, uintptr_t engine)',
  );
  private readonly initEncrypting: Numbers = this.bind(`int EVP_EncryptInit_ex(${CIPHER_START})`);
  private readonly initDecrypting: Numbers = this.bind(`int EVP_DecryptInit_ex(${CIPHER_START})`);

  /** A twentieth of what `randomFillSync` takes for so few bytes. */
  random(address: number, length: number): boolean {
    return this.randomBytes(address, length) === 1;
  }

  startHmac(hmac: number, key: number, length: number): boolean {
    return this.initHmac(hmac, key, length, this.sha256, 0) === 1;
  }

  startEncrypting(cipher: number, key: number, iv: number): boolean {
    return this.initEncrypting(cipher, this.aes128, 0, key, iv) === 1;
  }

  startDecrypting(cipher: number, key: number, iv: number): boolean {
    return this.initDecrypting(cipher, this.aes128, 0, key, iv) === 1;
  }
}

let loaded: Ciphers | undefined;

/** @throws Error where this OpenSSL lacks one of them */
export function loadTicketCiphers(): Ciphers {
  loaded ??= new Ciphers(...OPENSSL_3);
  return loaded;
}

/** Seals the tickets of sessions with the newest key of their listener, and opens those of the keys before it. */
export interface TicketKeys {
  /** @param keys newest first, `TICKET_KEY_BYTES` each */
  use(context: number, keys: readonly Uint8Array[]): void;
  forget(context: number): void;
  close(): void;
}

/** @param onSeal a session is about to send a ticket */
export function createTicketKeys(libc: Libc, ssl: OpenSsl, onSeal: (session: number) => void): TicketKeys {
  const ciphers = loadTicketCiphers();
  const keysOf = new Map<number, readonly Pinned[]>();
  const name = libc.pin(NAME_BYTES);

  const callback = ssl.ticketCallback((session, nameAddress, ivAddress, cipher, hmac, isSealed) => {
    if (isSealed) onSeal(session);
    const keys = keysOf.get(ssl.contextOf(session)) ?? [];
    const newest = keys[0];
    if (newest === undefined) return NONE; // no ticket then
    if (isSealed) {
      if (!ciphers.random(ivAddress, IV_BYTES)) return NONE;
      ssl.copy(nameAddress, newest.address, NAME_BYTES);
      return seal(newest, ivAddress, cipher, hmac);
    }
    ssl.copy(name.address, nameAddress, NAME_BYTES);
    const key = keys.find(({ bytes }) => bytes.subarray(0, NAME_BYTES).equals(name.bytes));
    if (key === undefined || !ciphers.startHmac(hmac, key.address + NAME_BYTES, HMAC_BYTES)) return NONE;
    if (!ciphers.startDecrypting(cipher, key.address + NAME_BYTES + HMAC_BYTES, ivAddress)) return NONE;
    return key === newest ? TAKEN : TAKEN_AND_RENEWED;
  });

  function seal(key: Pinned, ivAddress: number, cipher: number, hmac: number): number {
    if (!ciphers.startHmac(hmac, key.address + NAME_BYTES, HMAC_BYTES)) return NONE;
    return ciphers.startEncrypting(cipher, key.address + NAME_BYTES + HMAC_BYTES, ivAddress) ? TAKEN : NONE;
  }

  function forget(context: number): void {
    for (const { bytes } of keysOf.get(context) ?? []) bytes.fill(0);
    keysOf.delete(context);
  }

  return {
    use(context, keys) {
      forget(context);
      keysOf.set(
        context,
        keys.map((key) => pinned(libc, key)),
      );
      ssl.setTicketCallback(context, callback.address);
    },
    forget,
    close: () => callback.free(),
  };
}
