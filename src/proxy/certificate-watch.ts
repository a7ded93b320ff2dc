import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import type { BreakwaterEvent } from '../journal/event.ts';
import { CERTIFICATE_WARN_MS } from './certificate-expiry.ts';

/** How often it is looked when the certificates in use end. */
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

/** Says in time when certificates run out. */
export class CertificateWatch {
  private readonly parts: CertificateWatchParts;
  private readonly timer: NodeJS.Timeout;
  private said: ReadonlySet<string> = new Set();

  constructor(parts: CertificateWatchParts) {
    this.parts = parts;
    this.timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Says each once, and again when it has expired. */
  look(): void {
    const { certificates, clock } = this.parts;
    const now = new Set<string>();
    for (const certificate of certificates()) {
      const { listener, pool, subject, notAfter } = certificate;
      const leftMs = Date.parse(notAfter) - clock.now();
      if (leftMs > CERTIFICATE_WARN_MS) continue;
      const isOver = leftMs <= 0;
      const key = JSON.stringify([listener, pool, subject, notAfter, isOver]);
      now.add(key);
      if (!this.said.has(key)) this.tell(certificate, isOver);
    }
    this.said = now;
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tell({ listener, pool, subject, notAfter }: UsedCertificate, isOver: boolean): void {
    const { emit, clock, log } = this.parts;
    const fields = { ...(pool === undefined ? { listener } : { pool }), subject, notAfter };
    if (isOver) log.error(fields, 'a certificate has expired');
    else log.warn(fields, 'a certificate expires soon');
    const cause = `${subject} ${isOver ? 'expired' : 'expires'} at ${notAfter}`;
    const state = isOver ? 'expired' : 'expires-soon';
    const at = new Date(clock.now()).toISOString();
    emit({ type: 'certificate', at, subject: listener ?? pool ?? '', state, cause });
  }
}
