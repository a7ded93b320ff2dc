import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { BreakwaterError, messageOf } from '../base/errors.ts';
import { type CrlFacts, certificateNames, parseCrls } from './crl.ts';

/** What both engines share of TLS: the options, how they are checked, and how a certificate is chosen by name. */

/** How a listener speaks TLS. PEM texts: whoever makes this has read the files. Structured-cloneable. */
export interface TlsOptions {
  /** At least one. The first serves devices that name no server, or one that none is for. */
  readonly certificates: readonly TlsCertificate[];
  /** The authorities that sign client certificates. */
  readonly clientCa?: string | undefined;
  /** `request` serves devices without a certificate too; one that is shown must be good. */
  readonly clientAuth: 'none' | 'request' | 'require';
  /** Which of their certificates are revoked; absent: nobody asks. */
  readonly crl?: CrlOptions | undefined;
  readonly minVersion: TlsVersion;
  /** In OpenSSL's names, of both versions; absent: `defaultCiphers`. */
  readonly ciphers?: string | undefined;
  /** Protocols to agree on (ALPN), best first; a device that offers others only is refused. Empty: none is agreed on. */
  readonly alpn: readonly string[];
  /**
   * Random bytes, `TICKET_KEY_BYTES` a key, newest first: listeners of several threads with the same ones resume each
   * other's sessions. Tickets are sealed with the newest. The epoll engine opens those of the others too; the node engine
   * cannot, because Node takes one key.
   */
  readonly ticketKeys: readonly Uint8Array[];
  /** Absent: `own`. */
  readonly records?: TlsRecordLayer | undefined;
}

/**
 * Who seals and opens records behind the handshake, in the engines for Linux: Breakwater itself, or OpenSSL. The node engine leaves them
 * to Node.
 */
type TlsRecordLayer = 'own' | 'openssl';

export function ownsRecords({ records }: { readonly records?: TlsRecordLayer | undefined }): boolean {
  return records !== 'openssl';
}

type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** Certificate revocation lists, which are asked for every certificate of a device's chain. */
export interface CrlOptions {
  readonly pem: string;
  /** What becomes of devices when a list is older than it says that it may be. */
  readonly expired: 'refuse' | 'tolerate';
  /** Whether one of them is: sessions from before that are not resumed. */
  readonly isExpired: boolean;
  readonly lists: readonly CrlFacts[];
}

/** All with forward secrecy and without CBC (RFC 9325, 4.2); of TLS 1.3 all that OpenSSL has. */
const defaultCiphers = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':');

/**
 * What OpenSSL wants to be told of ciphers: suites of TLS 1.3, the list of TLS 1.2, and the least version. Where suites of
 * TLS 1.3 are named, it is these; else all. Where only such are named, TLS 1.2 is not spoken.
 */
export function cipherSettings({
  ciphers = defaultCiphers,
  minVersion,
}: Pick<TlsOptions, 'ciphers' | 'minVersion'>) {
  const isSuite = (name: string) => name.startsWith('TLS_');
  const named = ciphers.split(':');
  const list = named.filter((name) => !isSuite(name));
  const suites = named.some(isSuite) ? named : defaultCiphers.split(':');
  return {
    suites: suites.filter(isSuite).join(':'),
    list: (list.length > 0 ? list : defaultCiphers.split(':').filter((name) => !isSuite(name))).join(':'),
    minVersion: list.length > 0 ? minVersion : ('TLSv1.3' as const),
  };
}

/**
 * Groups that devices may agree on keys in: quick ones only. A share in a large group of RFC 7919 costs the device that
 * sends it over and over nothing, and us a hundred times a handshake (CVE-2002-20001, "D(HE)at").
 */
export const GROUPS = 'X25519:P-256:P-384';

export interface TlsCertificate {
  /** The server's own certificate, then those between it and the root. */
  readonly cert: string;
  readonly key: string;
  /** Names that it is for, instead of those in it. */
  readonly names?: readonly string[] | undefined;
}

/** How links to the nodes of a pool speak TLS. PEM texts, as above. */
export interface UpstreamTls {
  /** The authorities that sign the nodes' certificates; absent: those that Node.js comes with. */
  readonly ca?: string | undefined;
  /** What is shown to nodes that ask for a certificate. */
  readonly certificate?: TlsCertificate | undefined;
  /** The name that the nodes' certificates are for, and that is asked for (SNI), instead of each node's own. */
  readonly serverName?: string | undefined;
  /** Whether a node's certificate must be good, and for that name. */
  readonly verify: boolean;
  /** Absent: `own`. */
  readonly records?: TlsRecordLayer | undefined;
}

/** Of pools that say nothing of it. */
export const verifying: UpstreamTls = { verify: true };

/** @throws BreakwaterError TLS_INVALID */
export function checkUpstream({ ca, certificate }: UpstreamTls): void {
  if (ca !== undefined) parseCertificates(ca, 'ca');
  if (certificate !== undefined) checkCertificate(certificate);
}

/** What Node takes (`ticketKeys` of `tls.createServer`), so that every engine opens the tickets of every other. */
export const TICKET_KEY_BYTES = 48;

/** Certificates that are alternatives to each other, such as one with an RSA and one with an EC key. */
interface CertificateGroup {
  readonly certificates: readonly TlsCertificate[];
  /** Lower case; the first label may be `*`. */
  readonly names: readonly string[];
}

/**
 * The certificates by the names that they are for.
 * @throws BreakwaterError TLS_INVALID
 */
export function groupCertificates(tls: TlsOptions): readonly CertificateGroup[] {
  const groups = new Map<string, { certificates: TlsCertificate[]; names: readonly string[] }>();
  for (const certificate of tls.certificates) {
    const x509 = checkCertificate(certificate);
    const names = (certificate.names ?? namesOf(x509)).map((name) => name.toLowerCase());
    const key = `${[...names].sort().join()}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { certificates: [certificate], names });
    else group.certificates.push(certificate);
  }
  if (groups.size === 0) throw invalid('no certificate is given');
  checkAuthorities(tls);
  return [...groups.values()];
}

/** Index of the group for a name that a device asks for; 0 where none is for it. */
export function chooseGroup(groups: readonly CertificateGroup[], serverName: string): number {
  const name = serverName.toLowerCase();
  const exact = groups.findIndex((group) => group.names.includes(name));
  if (exact >= 0) return exact;
  const wildcard = name.replace(/^[^.]+/, '*'); // stands for one label (RFC 6125, 6.4.3)
  return Math.max(
    0,
    groups.findIndex((group) => group.names.includes(wildcard)),
  );
}

/** Parses a certificate and its key, and sees that they belong together. */
export function checkCertificate({ cert, key }: TlsCertificate): X509Certificate {
  const [x509] = parseCertificates(cert, 'certificate');
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (error) {
    throw invalid(`the key is not an unencrypted private key in PEM (${messageOf(error)})`);
  }
  if (!x509.checkPrivateKey(privateKey)) throw invalid('the key does not belong to the certificate');
  return x509;
}

function checkAuthorities({ clientAuth, clientCa, crl }: TlsOptions): void {
  if (crl !== undefined) checkCrls(crl.pem, clientCa ?? '');
  if (clientCa !== undefined) parseCertificates(clientCa, 'clientCa');
  else if (clientAuth !== 'none') throw invalid(`clientAuth ${clientAuth} needs clientCa`);
}

/**
 * Parses revocation lists, and sees that each authority of `clientCa` has one: of an authority without one no certificate
 * is good. @throws BreakwaterError TLS_INVALID
 */
export function checkCrls(pem: string, clientCa: string): readonly CrlFacts[] {
  const lists = parseCrls(pem);
  for (const authority of parseCertificates(clientCa, 'clientCa')) {
    const { subject } = certificateNames(authority.raw);
    if (lists.some(({ issuer }) => issuer === subject)) continue;
    const name = authority.subject.replaceAll('\n', ', ');
    throw invalid(
      `it holds no list of ${name}, which clientCa has: add that authority's list, an empty one too`,
    );
  }
  return lists.map(({ revoked: _, ...facts }) => facts);
}

/** Every certificate of a PEM text; there is at least one. */
export function parseCertificates(pem: string, what: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = pem.match(
    /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g,
  );
  if (blocks === null) throw invalid(`the ${what} is not in PEM`);
  try {
    return blocks.map((block) => new X509Certificate(block)) as [X509Certificate, ...X509Certificate[]];
  } catch (error) {
    throw invalid(`the ${what} cannot be read (${messageOf(error)})`);
  }
}

function namesOf(x509: X509Certificate): string[] {
  const names = [...(x509.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^,"]+)/g)].map(
    ([, name = '']) => name,
  );
  if (names.length > 0) return names;
  const cn = commonName(x509);
  return cn === undefined ? [] : [cn];
}

/** The subject's common name; the first, where there are several. */
export function commonName(x509: X509Certificate): string | undefined {
  const cn = x509.toLegacyObject().subject?.CN as string | string[] | undefined;
  return Array.isArray(cn) ? cn[0] : cn;
}

/**
 * Names what a session may be resumed on, 32 characters: it was made with the same demands on the client's certificate,
 * so that nobody brings a session of one listener, or from before a revocation, to a stricter one (RFC 5246, 7.4.1.2; SSL_CTX_set_session_id_context(3)).
 */
export function sessionScope(listenerIndex: number, { clientAuth, clientCa, crl }: TlsOptions): string {
  const text = JSON.stringify([listenerIndex, clientAuth, clientCa ?? '', crl?.pem, crl?.isExpired]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function invalid(reason: string): BreakwaterError {
  return new BreakwaterError('TLS_INVALID', reason);
}
