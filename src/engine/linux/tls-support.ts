import { BreakwaterError, messageOf } from '../../base/errors.ts';
import { createAead, type EvpAead, loadEvp } from './evp.ts';
import { loadBio } from './handshake-input.ts';
import type { Libc } from './libc.ts';
import { loadOpenSsl } from './openssl.ts';
import { loadTicketCiphers } from './tls-tickets.ts';

/** Whether the OpenSSL of this process, or of this machine, does what the engines for Linux ask of it. */

/** Why they cannot speak TLS here; undefined: they can. */
export function findTlsFault(): string | undefined {
  try {
    loadOpenSsl();
    loadBio();
    loadTicketCiphers();
    loadEvp();
    return undefined;
  } catch (error) {
    return `it finds no OpenSSL 3 to call (${messageOf(error)})`;
  }
}

/** Where something is to speak TLS all the same. */
export function tlsUnavailable(fault: string): BreakwaterError {
  return new BreakwaterError('ENGINE_UNAVAILABLE', `TLS: ${fault}; set proxy.engine to node`);
}

/** The ciphers for records of our own; a text: why OpenSSL has to keep the records, whatever the configuration says. */
export function tryAead(libc: Libc, create = createAead): EvpAead | string {
  try {
    return create(libc);
  } catch (error) {
    return messageOf(error);
  }
}

/** Why records are left to OpenSSL; undefined: they are not. */
export function findRecordsFault(libc: Libc): string | undefined {
  const aead = tryAead(libc);
  if (typeof aead === 'string') return aead;
  aead.close();
  return undefined;
}
