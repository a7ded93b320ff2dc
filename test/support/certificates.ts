import { execFileSync } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
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
  /** A revocation list, in PEM; `day` is of its next update, from today on. */
  crl(revoked: readonly Issued[], day?: number): string;
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
    crl: (revoked, day = 30) => makeCrl(own, revoked, day),
  };
}

function makeCrl(issuer: Issued, revoked: readonly Issued[], day: number): string {
  const directory = temporaryDirectory();
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const lines = revoked.map(({ cert }) => {
    const { serialNumber } = new X509Certificate(cert);
    return `R\t350101000000Z\t250101000000Z\t${serialNumber}\tunknown\t/CN=revoked\n`;
  });
  const database = file('index.txt', lines.join(''));
  const number = file('number', '01\n');
  const config = file(
    'ca.cnf',
    `[ca]\ndefault_ca = own\n[own]\ndatabase = ${database}\ncrlnumber = ${number}\ndefault_md = sha256\n`,
  );
  const time = (days: number): string =>
    new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '');
  const dates = ['-crl_lastupdate', time(day - 60), '-crl_nextupdate', time(day)];
  const ca = ['-config', config, '-cert', issuer.certFile, '-keyfile', issuer.keyFile];
  return execFileSync('openssl', ['ca', '-gencrl', ...ca, ...dates], { stdio: 'pipe' }).toString();
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
    minVersion: 'TLSv1.2',
    alpn: ['mqtt'],
    ticketKeys: [randomBytes(TICKET_KEY_BYTES)],
    ...more,
  };
}
