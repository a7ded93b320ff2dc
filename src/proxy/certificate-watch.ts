/** Says in time when certificates run out. */

import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import type { BreakwaterEvent } from '../journal/event.ts';
import { CERTIFICATE_WARN_MS } from './certificate-expiry.ts';

const LOOK_MS = 60_000;

/** A certificate in use, of a listener or towards the nodes of a pool. */
export interface UsedCertificate {
  readonly listener?: string | undefined;
  readonly pool?: string | undefined;
  readonly subject: string;
  /** RFC 3339. */
  readonly notAfter: string;
}

interface CertificateWatchParts {
  /** Those in use. */
  readonly certificates: () => readonly UsedCertificate[];
  readonly emit: (event: BreakwaterEvent) => void;
  /** Milliseconds since 1970. */
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn' | 'error'>;
}

export function createCertificateWatch({ certificates, emit, clock, log }: CertificateWatchParts) {
  let said: ReadonlySet<string> = new Set();

  function tell({ listener, pool, subject, notAfter }: UsedCertificate, isOver: boolean): void {
    const fields = { ...(pool === undefined ? { listener } : { pool }), subject, notAfter };
    if (isOver) log.error(fields, 'a certificate has expired');
    else log.warn(fields, 'a certificate expires soon');
    const cause = `${subject} ${isOver ? 'expired' : 'expires'} at ${notAfter}`;
    const state = isOver ? 'expired' : 'expires-soon';
    const at = new Date(clock.now()).toISOString();
    emit({ type: 'certificate', at, subject: listener ?? pool ?? '', state, cause });
  }

  /** Says each once, and again when it has expired. */
  function look(): void {
    const now = new Set<string>();
    for (const certificate of certificates()) {
      const { listener, pool, subject, notAfter } = certificate;
      const leftMs = Date.parse(notAfter) - clock.now();
      if (leftMs > CERTIFICATE_WARN_MS) continue;
      const isOver = leftMs <= 0;
      const key = JSON.stringify([listener, pool, subject, notAfter, isOver]);
      now.add(key);
      if (!said.has(key)) tell(certificate, isOver);
    }
    said = now;
  }

  const timer = setInterval(look, LOOK_MS).unref();
  return { look, stop: () => clearInterval(timer) };
}
