import { randomFillSync } from 'node:crypto';
import type { Libc, Pinned } from './libc.ts';
import type { OpenSsl } from './openssl.ts';
import { pinned } from './tls-material.ts';

/** Seals and opens the session tickets of devices with the keys that threads and proxies share. */

/** The parts of a ticket key, as in SSL_CTX_set_tlsext_ticket_keys(3): its name, a key for HMAC and one for AES. */
const NAME_BYTES = 16;
const HMAC_BYTES = 32;
const IV_BYTES = 16;

/** What OpenSSL is answered (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)). */
const NONE = 0;
const TAKEN = 1;
const TAKEN_AND_RENEWED = 2;

/** Seals the tickets of sessions with the newest key of their listener, and opens those of the keys before it. */
export interface TicketKeys {
  /** @param keys newest first, `TICKET_KEY_BYTES` each */
  use(context: number, keys: readonly Uint8Array[]): void;
  forget(context: number): void;
  close(): void;
}

/** @param onSeal a session is about to send a ticket */
export function createTicketKeys(libc: Libc, ssl: OpenSsl, onSeal: (session: number) => void): TicketKeys {
  const keysOf = new Map<number, readonly Pinned[]>();
  const name = libc.pin(NAME_BYTES);
  const iv = libc.pin(IV_BYTES);

  const callback = ssl.ticketCallback((session, nameAddress, ivAddress, cipher, hmac, isSealed) => {
    if (isSealed) onSeal(session);
    const keys = keysOf.get(ssl.contextOf(session)) ?? [];
    const newest = keys[0];
    if (newest === undefined) return NONE; // no ticket then
    if (isSealed) {
      randomFillSync(iv.bytes);
      ssl.copy(nameAddress, newest.address, NAME_BYTES);
      ssl.copy(ivAddress, iv.address, IV_BYTES);
      return seal(newest, ivAddress, cipher, hmac);
    }
    ssl.copy(name.address, nameAddress, NAME_BYTES);
    const key = keys.find(({ bytes }) => bytes.subarray(0, NAME_BYTES).equals(name.bytes));
    if (key === undefined || !ssl.startHmac(hmac, key.address + NAME_BYTES, HMAC_BYTES)) return NONE;
    if (!ssl.startDecrypting(cipher, key.address + NAME_BYTES + HMAC_BYTES, ivAddress)) return NONE;
    return key === newest ? TAKEN : TAKEN_AND_RENEWED;
  });

  function seal(key: Pinned, ivAddress: number, cipher: number, hmac: number): number {
    if (!ssl.startHmac(hmac, key.address + NAME_BYTES, HMAC_BYTES)) return NONE;
    return ssl.startEncrypting(cipher, key.address + NAME_BYTES + HMAC_BYTES, ivAddress) ? TAKEN : NONE;
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
