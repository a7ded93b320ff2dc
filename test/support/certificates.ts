import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TICKET_KEY_BYTES, type TlsCertificate, type TlsOptions } from '../../src/engine/tls.ts';
import { temporaryDirectory } from './process.ts';

/** A certificate with its key, as PEM and as files. `cert` begins with its own; an issuer below the root follows. */
export interface Issued extends TlsCertificate {
  readonly certFile: string;
  readonly keyFile: string;
}

interface Request {
  readonly cn: string;
  /** DNS names and IP addresses, as OpenSSL writes them: `DNS:a,IP:127.0.0.1`. */
  readonly names?: string;
  readonly rsa?: boolean;
  readonly ca?: boolean;
  readonly days?: number;
}

/** An authority on the OpenSSL command line. */
export interface Authority extends Issued {
  issue(request: Request): Issued;
  /** An authority below this one. */
  below(cn: string): Authority;
}

export function createAuthority(cn: string): Authority {
  return authority(make({ cn, ca: true }), '');
}

/** @param chain the certificates from this authority up to below the root */
function authority(own: Issued, chain: string): Authority {
  return {
    ...own,
    issue: (request) => make(request, own, chain),
    below: (cn) => {
      const below = make({ cn, ca: true }, own, chain);
      return authority(below, below.cert);
    },
  };
}

let serial = 0;

function make({ cn, names, rsa, ca, days = 30 }: Request, issuer?: Issued, chain = ''): Issued {
  const directory = temporaryDirectory();
  const certFile = join(directory, 'cert.pem');
  const keyFile = join(directory, 'key.pem');
  const key = rsa ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const extensions = [`basicConstraints=critical,CA:${ca ? 'TRUE' : 'FALSE'}`];
  if (names !== undefined) extensions.push(`subjectAltName=${names}`);
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-nodes', '-newkey', ...key, '-keyout', keyFile, '-out', certFile],
      ...['-subj', `/O=Test/CN=${cn}`, '-set_serial', String(++serial), '-days', String(days)],
      ...extensions.flatMap((extension) => ['-addext', extension]),
      ...(issuer === undefined ? [] : ['-CA', issuer.certFile, '-CAkey', issuer.keyFile]),
    ],
    { stdio: 'pipe' },
  );
  const cert = readFileSync(certFile, 'utf8') + chain;
  writeFileSync(certFile, cert);
  return { cert, key: readFileSync(keyFile, 'utf8'), certFile, keyFile };
}

/** Options of a listener without client certificates. */
export function tlsOptions(certificates: readonly Issued[], more: Partial<TlsOptions> = {}): TlsOptions {
  return {
    certificates: certificates.map(({ cert, key }) => ({ cert, key })),
    clientAuth: 'none',
    alpn: ['mqtt'],
    ticketKeys: randomBytes(TICKET_KEY_BYTES),
    ...more,
  };
}
