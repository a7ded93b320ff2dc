import type { Log } from '../base/log.ts';
import { sharedClock } from '../base/time.ts';
import type { TableWriter } from '../data-plane-api/routing-table.ts';
import { Watchdog } from './watchdog.ts';

/**
 * Says in the log which data thread does not answer, and at which connection it is; `client inspect '#17'` tells more. One that does not
 * come back is ended.
 */
export function watchThreads(
  table: Pick<TableWriter, 'pulses'>,
  log: Pick<Log, 'error' | 'warn'>,
  onChange: (thread: number, isSilent: boolean, connection: number | undefined) => void,
  end: (thread: number, why: string) => void,
): Watchdog {
  return new Watchdog({
    pulses: table.pulses(),
    now: sharedClock.now,
    silent(thread, connection, silentMs) {
      const at = connection === 0 ? {} : { connection };
      log.error({ thread, ...at, ms: Math.round(silentMs) }, 'a data thread does not answer');
      onChange(thread, true, connection === 0 ? undefined : connection);
    },
    answers(thread, silentMs) {
      log.warn({ thread, ms: Math.round(silentMs) }, 'a data thread answers again');
      onChange(thread, false, undefined);
    },
    lost: (thread, silentMs) => end(thread, `it gave no sign of life for ${Math.round(silentMs / 1000)} s`),
  });
}
