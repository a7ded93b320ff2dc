import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { messageOf, whyUnreadable } from '../base/errors.ts';
import type { ListenerConfig, PoolConfig } from '../config/config.ts';
import type { Finding, Path } from '../config/problems.ts';
import type { CertificateConfig, TlsConfig } from '../config/tls.ts';
import { holdsCrl, isExpired } from '../engine/crl.ts';
import {
  type CrlOptions,
  checkCertificate,
  checkCrls,
  cipherSettings,
  parseCertificates,
  type TlsCertificate,
  type TlsOptions,
  type UpstreamTls,
} from '../engine/tls.ts';

/** A certificate with its chain has some kilobytes, a bundle of authorities some hundred: more is some other file. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Some 200,000 revoked certificates; each data thread reads it anew when it changes. */
const MAX_CRL_BYTES = 16 * 1024 * 1024;

/** What is agreed on with devices (IANA, TLS ALPN Protocol IDs). WebSocket begins as HTTP/1.1 (RFC 6455, 1.7). */
const protocols: Readonly<Record<string, readonly string[]>> = {
  mqtts: ['mqtt'],
  wss: ['http/1.1'],
  https: ['http/1.1'],
};

export interface TlsFiles {
  /** By listener; undefined for one without TLS, or with a problem. */
  readonly options: readonly (TlsOptions | undefined)[];
  readonly problems: readonly Finding[];
}

/** Reads and checks the files of every listener's `tls`; all problems are found at once. */
export async function readTlsFiles(
  listeners: readonly Pick<ListenerConfig, 'url' | 'tls'>[],
  ticketKeys: readonly Uint8Array[],
): Promise<TlsFiles> {
  const problems: Finding[] = [];
  const options = await Promise.all(
    listeners.map(async ({ url, tls }, index) => {
      if (tls === undefined) return undefined;
      const complain = (keys: Path, message: string) =>
        problems.push({ path: ['listeners', index, 'tls', ...keys], message });
      const alpn = protocols[url.slice(0, url.indexOf(':'))] ?? [];
      const read = await readListener(tls, complain);
      return read && { ...read, alpn, ticketKeys };
    }),
  );
  return { options, problems };
}

export interface AdminTlsFiles {
  /** Undefined without TLS, or with a problem. */
  readonly options: TlsOptions | undefined;
  readonly problems: readonly Finding[];
}

/** The same for the admin address. */
export async function readAdminTlsFiles(tls: TlsConfig | undefined): Promise<AdminTlsFiles> {
  const problems: Finding[] = [];
  if (tls === undefined) return { options: undefined, problems };
  const read = await readListener(tls, (keys, message) =>
    problems.push({ path: ['admin', 'tls', ...keys], message }),
  );
  return { options: read && { ...read, alpn: ['http/1.1'], ticketKeys: [] }, problems };
}

export interface UpstreamTlsFiles {
  /** By pool; undefined for one that says nothing of TLS, or with a problem. */
  readonly options: readonly (UpstreamTls | undefined)[];
  readonly problems: readonly Finding[];
}

/** The same for every pool's `upstream.tls`. */
export async function readUpstreamTlsFiles(
  pools: readonly Pick<PoolConfig, 'name' | 'upstream'>[],
): Promise<UpstreamTlsFiles> {
  const problems: Finding[] = [];
  const options = await Promise.all(
    pools.map(async ({ name, upstream: { tls } }) => {
      if (tls === undefined) return undefined;
      let isBad = false;
      const complain = (keys: Path, message: string) => {
        isBad = true;
        problems.push({ path: ['pools', name, 'upstream', 'tls', ...keys], message });
      };
      const ca = tls.ca === undefined ? undefined : await readAuthorities(tls.ca, 'ca', complain);
      const certificate =
        tls.certificate === undefined
          ? undefined
          : await readPair({ ...tls.certificate, names: undefined }, complain);
      if (isBad) return undefined;
      return { ca, certificate, serverName: tls.serverName, verify: tls.verify, records: tls.records };
    }),
  );
  return { options, problems };
}

type Complain = (keys: Path, problem: string) => void;

async function readListener(
  tls: TlsConfig,
  complain: Complain,
): Promise<Omit<TlsOptions, 'alpn' | 'ticketKeys'> | undefined> {
  const { certificates, clientCa, clientAuth, minVersion, ciphers, records } = tls;
  const pairs = await Promise.all(
    certificates.map((each, index) =>
      readPair(each, (keys, problem) =>
        complain(index === 0 ? keys : ['certificates', index - 1, ...keys], problem),
      ),
    ),
  );
  const authorities =
    clientCa === undefined ? undefined : await readAuthorities(clientCa, 'clientCa', complain);
  const crl = authorities === undefined ? undefined : await readCrl(tls, authorities, complain);
  const areKnown = ciphers === undefined || attempt('ciphers', ciphers, complain, () => tryCiphers(tls));
  if (clientCa !== undefined && authorities === undefined) return undefined;
  if ((tls.crl !== undefined && crl === undefined) || !areKnown) return undefined;
  const whole = pairs.filter((pair) => pair !== undefined);
  return whole.length === pairs.length
    ? { certificates: whole, clientCa: authorities, clientAuth, crl, minVersion, ciphers, records }
    : undefined;
}

async function readCrl(
  { crl: file, expiredCrl }: TlsConfig,
  clientCa: string,
  complain: Complain,
): Promise<CrlOptions | undefined> {
  if (file === undefined) return undefined;
  const pem = await readPem(file, 'crl', complain, MAX_CRL_BYTES);
  if (pem === undefined) return undefined;
  let crl: CrlOptions | undefined;
  attempt('crl', file, complain, () => {
    const lists = checkCrls(pem, clientCa);
    const nowMs = Date.now();
    crl = { pem, expired: expiredCrl, isExpired: lists.some((list) => isExpired(list, nowMs)), lists };
  });
  return crl;
}

/** OpenSSL says what it does not know. */
function tryCiphers(tls: TlsConfig): void {
  const { suites, list } = cipherSettings(tls);
  createSecureContext({ ciphers: list });
  createSecureContext({ ciphers: suites });
}

async function readPair(
  { cert: certFile, key: keyFile, names }: CertificateConfig,
  complain: Complain,
): Promise<TlsCertificate | undefined> {
  const [cert, key] = await Promise.all([
    readPem(certFile, 'cert', complain),
    readPem(keyFile, 'key', complain),
  ]);
  if (cert === undefined || key === undefined) return undefined;
  const isRead = attempt('cert', certFile, complain, () => parseCertificates(cert, 'certificate'));
  if (!isRead) return undefined;
  const isPair = attempt('key', keyFile, complain, () => {
    checkCertificate({ cert, key });
    createSecureContext({ cert, key }); // OpenSSL refuses what it takes for too weak
  });
  return isPair ? { cert, key, names } : undefined;
}

async function readAuthorities(file: string, key: string, complain: Complain): Promise<string | undefined> {
  const pem = await readPem(file, key, complain);
  if (pem === undefined) return undefined;
  return attempt(key, file, complain, () => {
    if (holdsCrl(pem))
      throw new Error(`it holds a revocation list, which ${strayCrl[key] ?? 'is of no use there'}`);
    parseCertificates(pem, key);
  })
    ? pem
    : undefined;
}

/** A list among the authorities would be passed over in silence. */
const strayCrl: Readonly<Record<string, string>> = {
  clientCa: 'is not looked at there; put it into a file of its own, and name that as tls.crl',
};

async function readPem(
  file: string,
  key: string,
  complain: Complain,
  maxBytes = MAX_BYTES,
): Promise<string | undefined> {
  try {
    const bytes = await readFile(file);
    if (bytes.length <= maxBytes) return bytes.toString('latin1');
    complain([key], `${file} is larger than ${maxBytes} bytes`);
  } catch (error) {
    complain([key], `cannot read ${file}: ${whyUnreadable(error)}`);
  }
  return undefined;
}

function attempt(key: string, file: string, complain: Complain, check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch (error) {
    complain([key], `${file}: ${messageOf(error)}`);
    return false;
  }
}
