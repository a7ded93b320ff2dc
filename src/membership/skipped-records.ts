import type { Log } from '../base/log.ts';
import type { Snapshot } from '../base/metrics/metrics.ts';
import type { Skipped } from './store/store.ts';

/**
 * At most so many records of one key and reason are logged: whoever fills the store with rubbish must not fill the
 * log too.
 */
const NAMED_MAX = 32;
const FIELD_MAX = 128;

interface Kind {
  readonly key: string;
  readonly reason: string;
  count: number;
  readonly named: Set<string>;
}

/** Records of the membership store that cannot be used: counted each time, and logged once for each record. */
export function createSkippedRecords(log: Pick<Log, 'warn'>) {
  /** By key and reason, which are our own words. */
  const kinds = new Map<string, Kind>();

  function kindOf({ key, reason }: Skipped): Kind {
    const known = kinds.get(`${key} ${reason}`);
    const kind = known ?? { key, reason, count: 0, named: new Set<string>() };
    if (known === undefined) kinds.set(`${key} ${reason}`, kind);
    return kind;
  }

  return {
    add(skipped: Skipped): void {
      const { key, reason, detail } = skipped;
      const field = skipped.field.slice(0, FIELD_MAX);
      const kind = kindOf(skipped);
      kind.count++;
      if (kind.named.has(field) || kind.named.size > NAMED_MAX) return;
      kind.named.add(field);
      if (kind.named.size <= NAMED_MAX)
        log.warn({ key, field, reason, detail }, 'what is in the store cannot be used, and is passed over');
      else log.warn({ key, reason }, `more than ${NAMED_MAX} such: further ones are only counted`);
    },
    counts: (): Snapshot['recordsSkipped'] => kinds.values(),
  };
}
