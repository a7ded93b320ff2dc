import type { CrlView } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import { type CrlFacts, isExpired } from '../engine/crl.ts';
import type { CrlOptions } from '../engine/tls.ts';

/** How often the lists are looked at; those of authorities are due once a day, or once an hour. */
const LOOK_MS = 10_000;
/** So long before it is due a list that has not been replaced is warned of. */
const WARN_MS = 86_400_000;

interface CrlWatchParts {
  /** Those in use. */
  readonly crls: () => readonly { readonly url: string; readonly crl: CrlOptions }[];
  /** Some have expired since they were read. */
  readonly expired: () => void;
  /** Milliseconds since 1970. */
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn' | 'error'>;
}

function stateOf(list: CrlFacts, { expired }: CrlOptions, nowMs: number): CrlView['state'] {
  if (!isExpired(list, nowMs)) return 'valid';
  return expired === 'tolerate' ? 'tolerated' : 'expired';
}

/** Logs when revocation lists expire, and tells their listeners. */
export class CrlWatch {
  private readonly parts: CrlWatchParts;
  private readonly timer: NodeJS.Timeout;
  private readonly said = new Set<string>();

  constructor(parts: CrlWatchParts) {
    this.parts = parts;
    this.timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  views(): CrlView[] {
    const { crls, clock } = this.parts;
    return crls().flatMap(({ url: listener, crl }) =>
      crl.lists.map((list) => ({
        listener,
        issuer: list.issuerName,
        nextUpdate: list.nextUpdateMs === undefined ? undefined : new Date(list.nextUpdateMs).toISOString(),
        state: stateOf(list, crl, clock.now()),
      })),
    );
  }

  look(): void {
    const { said } = this;
    const { crls, clock, expired } = this.parts;
    const all = this.views();
    const keys = new Set(all.map(({ listener, issuer }) => `${listener} ${issuer} `));
    for (const key of said) if (![...keys].some((present) => key.startsWith(present))) said.delete(key);
    for (const view of all) this.say(view);
    const nowMs = clock.now();
    const isNews = crls().some(
      ({ crl }) => !crl.isExpired && crl.lists.some((list) => isExpired(list, nowMs)),
    );
    if (isNews) expired();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private say(view: CrlView): void {
    const { clock, log } = this.parts;
    const { listener, issuer, nextUpdate, state } = view;
    const leftMs = nextUpdate === undefined ? Number.POSITIVE_INFINITY : Date.parse(nextUpdate) - clock.now();
    const stage = state === 'valid' && leftMs < WARN_MS ? 'soon' : state;
    const key = `${listener} ${issuer} ${nextUpdate} ${stage}`;
    if (stage === 'valid' || this.said.has(key)) return;
    this.said.add(key);
    const fields = { listener, issuer, nextUpdate };
    if (stage === 'soon') log.warn(fields, 'a revocation list expires soon');
    else if (stage === 'tolerated')
      log.error(fields, 'a revocation list has expired, and is used as it is (tls.expiredCrl)');
    else log.error(fields, 'a revocation list has expired: no device with a certificate is let in');
  }
}
