import type { PoolConfig } from '../config/config.ts';
import type { Finding, Path } from '../config/problems.ts';
import type { TlsOptions } from '../engine/tls.ts';
import { certificateWarning, crlWarning, expiryOf } from './certificate-expiry.ts';
import type { AdminTlsFiles, TlsFiles, UpstreamTlsFiles } from './tls-files.ts';

/** Certificates and revocation lists of a configuration that have expired or will soon: nothing refuses to start with them. */

export function listenerExpiries({ options }: TlsFiles, nowMs: number): Finding[] {
  return options.flatMap((tls, listener) => expiriesAt(['listeners', listener, 'tls'], tls, nowMs));
}

export function adminExpiries({ options }: AdminTlsFiles, nowMs: number): Finding[] {
  return expiriesAt(['admin', 'tls'], options, nowMs);
}

function expiriesAt(path: Path, tls: TlsOptions | undefined, nowMs: number): Finding[] {
  const pairs = (tls?.certificates ?? []).flatMap(({ cert }, index) => {
    const at = index === 0 ? ['cert'] : ['certificates', index - 1, 'cert'];
    return certificateFinding([...path, ...at], cert, nowMs);
  });
  const lists = (tls?.crl?.lists ?? []).flatMap(({ issuerName, nextUpdateMs }): Finding[] => {
    const end = nextUpdateMs === undefined ? undefined : new Date(nextUpdateMs).toISOString();
    const warning = end && crlWarning(end, nowMs);
    return warning ? [{ path: [...path, 'crl'], message: `the list of ${issuerName} ${warning}` }] : [];
  });
  return [...pairs, ...lists];
}

/** Of those that are shown to nodes; in the order of the pools. */
export function upstreamExpiries(
  pools: readonly Pick<PoolConfig, 'name'>[],
  { options }: UpstreamTlsFiles,
  nowMs: number,
): Finding[] {
  return pools.flatMap(({ name }, index) => {
    const cert = options[index]?.certificate?.cert;
    const path = ['pools', name, 'upstream', 'tls', 'cert'];
    return cert === undefined ? [] : certificateFinding(path, cert, nowMs);
  });
}

function certificateFinding(path: Path, pem: string, nowMs: number): Finding[] {
  const { subject, notAfter } = expiryOf(pem);
  const warning = certificateWarning(notAfter, nowMs);
  return warning === undefined ? [] : [{ path, message: `the certificate of ${subject} ${warning}` }];
}
