import { X509Certificate } from 'node:crypto';
import type { CertificateView } from '../admin/backend.ts';
import type { TlsOptions } from '../engine/tls.ts';

/** When certificates and revocation lists run out. */

const DAY_MS = 86_400_000;
/** Authorities that renew by themselves do so 30 days before the end: what is nearer than this was not renewed. */
export const CERTIFICATE_WARN_MS = 21 * DAY_MS;
/** Lists are due once a day or once an hour: the log warns of one a day before, and so does this. */
const CRL_WARN_MS = DAY_MS;

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Of options that are in use: a certificate is parsed once, however often somebody asks. */
const known = new WeakMap<TlsOptions, readonly Omit<CertificateView, 'listener'>[]>();

/** One for each certificate of a listener, with the earliest date of its chain: a chain is as good as its shortest link. */
export function certificateViews(listener: string, tls: TlsOptions): CertificateView[] {
  const views = known.get(tls) ?? tls.certificates.map(({ cert }) => expiryOf(cert));
  known.set(tls, views);
  return views.map((view) => ({ listener, ...view }));
}

/** What is to be said of a certificate that has expired or will soon; undefined of any other. `end` is RFC 3339. */
export function certificateWarning(end: string, nowMs: number): string | undefined {
  return warningOf(end, nowMs, CERTIFICATE_WARN_MS);
}

/** The same of a revocation list. */
export function crlWarning(end: string, nowMs: number): string | undefined {
  return warningOf(end, nowMs, CRL_WARN_MS);
}

/** When a certificate expires, or one of those behind it in the same text. */
export function expiryOf(pem: string): Omit<CertificateView, 'listener'> {
  const chain = (pem.match(PEM_CERTIFICATE) ?? []).map((text) => new X509Certificate(text));
  const ends = chain.map(({ validTo }) => Date.parse(validTo));
  const subject = (chain[0]?.subject ?? '').replaceAll('\n', ', ');
  return { subject, notAfter: new Date(Math.min(...ends)).toISOString() };
}

function warningOf(end: string, nowMs: number, warnMs: number): string | undefined {
  const leftMs = Date.parse(end) - nowMs;
  if (leftMs <= 0) return `has expired at ${end}`;
  return leftMs <= warnMs ? `expires in ${spanText(leftMs)}, at ${end}` : undefined;
}

/** Days, or hours where it is less than two days. */
function spanText(ms: number): string {
  const hours = Math.max(1, Math.floor(ms / 3_600_000));
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return hours === 1 ? 'an hour' : `${hours} hours`;
}
