import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { ListenerConfig, PoolConfig } from '../config/config.ts';
import type { Problem } from '../config/problems.ts';
import type { CertificateConfig, TlsConfig } from '../config/tls.ts';
import {
  checkCertificate,
  parseCertificates,
  type TlsCertificate,
  type TlsOptions,
  type UpstreamTls,
} from '../engine/tls.ts';
import { messageOf } from '../errors.ts';

/** A certificate with its chain has some kilobytes, a bundle of authorities some hundred: more is some other file. */
const MAX_BYTES = 4 * 1024 * 1024;

/** What is agreed on with devices (IANA, TLS ALPN Protocol IDs). WebSocket begins as HTTP/1.1 (RFC 6455, 1.7). */
const protocols: Readonly<Record<string, readonly string[]>> = {
  mqtts: ['mqtt'],
  wss: ['http/1.1'],
  https: ['http/1.1'],
};

export interface TlsFiles {
  /** By listener; undefined for one without TLS, or with a problem. */
  readonly options: readonly (TlsOptions | undefined)[];
  readonly problems: readonly Problem[];
}

/** Reads and checks the files of every listener's `tls`; all problems are found at once. */
export async function readTlsFiles(
  listeners: readonly Pick<ListenerConfig, 'url' | 'tls'>[],
  ticketKeys: Uint8Array,
): Promise<TlsFiles> {
  const problems: Problem[] = [];
  const options = await Promise.all(
    listeners.map(async ({ url, tls }, index) => {
      if (tls === undefined) return undefined;
      const complain = (key: string, problem: string) =>
        problems.push({ path: `listeners[${index}].tls.${key}`, line: undefined, message: problem });
      const alpn = protocols[url.slice(0, url.indexOf(':'))] ?? [];
      const read = await readListener(tls, complain);
      return read && { ...read, alpn, ticketKeys };
    }),
  );
  return { options, problems };
}

export interface UpstreamTlsFiles {
  /** By pool; undefined for one that says nothing of TLS, or with a problem. */
  readonly options: readonly (UpstreamTls | undefined)[];
  readonly problems: readonly Problem[];
}

/** The same for every pool's `upstream.tls`. */
export async function readUpstreamTlsFiles(
  pools: readonly Pick<PoolConfig, 'name' | 'upstream'>[],
): Promise<UpstreamTlsFiles> {
  const problems: Problem[] = [];
  const options = await Promise.all(
    pools.map(async ({ name, upstream: { tls } }) => {
      if (tls === undefined) return undefined;
      let isBad = false;
      const complain = (key: string, message: string) => {
        isBad = true;
        problems.push({ path: `pools.${name}.upstream.tls.${key}`, line: undefined, message });
      };
      const ca = tls.ca === undefined ? undefined : await readAuthorities(tls.ca, 'ca', complain);
      const certificate =
        tls.certificate === undefined
          ? undefined
          : await readPair({ ...tls.certificate, names: undefined }, complain);
      if (isBad) return undefined;
      return { ca, certificate, serverName: tls.serverName, verify: tls.verify };
    }),
  );
  return { options, problems };
}

type Complain = (key: string, problem: string) => void;

async function readListener(
  { certificates, clientCa, clientAuth }: TlsConfig,
  complain: Complain,
): Promise<Pick<TlsOptions, 'certificates' | 'clientCa' | 'clientAuth'> | undefined> {
  const pairs = await Promise.all(
    certificates.map((each, index) =>
      readPair(each, (key, problem) =>
        complain(index === 0 ? key : `certificates[${index - 1}].${key}`, problem),
      ),
    ),
  );
  const authorities =
    clientCa === undefined ? undefined : await readAuthorities(clientCa, 'clientCa', complain);
  if (clientCa !== undefined && authorities === undefined) return undefined;
  const whole = pairs.filter((pair) => pair !== undefined);
  return whole.length === pairs.length
    ? { certificates: whole, clientCa: authorities, clientAuth }
    : undefined;
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
  return attempt(key, file, complain, () => parseCertificates(pem, key)) ? pem : undefined;
}

async function readPem(file: string, key: string, complain: Complain): Promise<string | undefined> {
  try {
    const bytes = await readFile(file);
    if (bytes.length <= MAX_BYTES) return bytes.toString('latin1');
    complain(key, `${file} is larger than ${MAX_BYTES} bytes: not a PEM file`);
  } catch (error) {
    complain(
      key,
      `cannot read ${file}: ${reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? messageOf(error)}`,
    );
  }
  return undefined;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied; let the user of this program read it',
  EISDIR: 'it is a folder',
};

function attempt(key: string, file: string, complain: Complain, check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch (error) {
    complain(key, `${file}: ${messageOf(error)}`);
    return false;
  }
}
