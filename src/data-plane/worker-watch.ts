import type { Log } from '../base/log.ts';
import { sharedClock } from '../base/time.ts';
import type { TableWriter } from '../data-plane-api/routing-table.ts';
import { Watchdog } from './watchdog.ts';

/** Says in the log which data thread does not come back, and from which connection; `client inspect '#17'` tells more. */
export function watchThreads(
  table: Pick<TableWriter, 'pulses'>,
  log: Pick<Log, 'error' | 'warn'>,
  onChange: (thread: number, isSilent: boolean, connection: number | undefined) => void,
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
  });
}
