import type { ServerOptions } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { cipherSettings, GROUPS, type TlsOptions } from '../engine/tls.ts';

/** TLS on the admin address: the same versions, ciphers and groups as to devices. */

/** From the connection to the end of its handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** What may change while the server runs. */
export function secureContext(tls: TlsOptions): SecureContextOptions {
  const { suites, list, minVersion } = cipherSettings(tls);
  return {
    cert: tls.certificates.map(({ cert }) => cert),
    key: tls.certificates.map(({ key }) => key),
    ...(tls.clientAuth !== 'none' && { ca: tls.clientCa }),
    ...{ minVersion, ciphers: `${suites}:${list}`, honorCipherOrder: true, ecdhCurve: GROUPS },
  };
}

export function secureServer(tls: TlsOptions): ServerOptions {
  return {
    ...secureContext(tls),
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    requestCert: tls.clientAuth !== 'none',
    rejectUnauthorized: tls.clientAuth === 'require',
  };
}
