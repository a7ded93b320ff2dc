import { X509Certificate } from 'node:crypto';
import type { CertificateView } from '../admin/backend.ts';
import type { TlsOptions } from '../engine/tls.ts';

/** When the certificates that listeners show run out. */

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Of options that are in use: a certificate is parsed once, however often somebody asks. */
const known = new WeakMap<TlsOptions, readonly Omit<CertificateView, 'listener'>[]>();

/** One for each certificate of a listener, with the earliest date of its chain: a chain is as good as its shortest link. */
export function certificateViews(listener: string, tls: TlsOptions): CertificateView[] {
  const views = known.get(tls) ?? tls.certificates.map(({ cert }) => expiryOf(cert));
  known.set(tls, views);
  return views.map((view) => ({ listener, ...view }));
}

function expiryOf(pem: string): Omit<CertificateView, 'listener'> {
  const chain = (pem.match(PEM_CERTIFICATE) ?? []).map((text) => new X509Certificate(text));
  const ends = chain.map(({ validTo }) => Date.parse(validTo));
  const subject = (chain[0]?.subject ?? '').replaceAll('\n', ', ');
  return { subject, notAfter: new Date(Math.min(...ends)).toISOString() };
}
