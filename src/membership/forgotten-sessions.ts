import type { Log } from '../base/log.ts';
import type { Snapshot } from '../base/metrics/metrics.ts';
import { systemClock } from '../base/time.ts';
import { createLogThrottle } from '../policy/admission/log-throttle.ts';
import type { ForgottenBecause } from './remembered-sessions.ts';

/** Counts persistent sessions that could not be remembered, and logs them now and then. */
export function createForgottenSessions(log: Pick<Log, 'warn'>) {
  const counts = new Map<ForgottenBecause, number>();
  const bursts = createLogThrottle(systemClock);

  return {
    add(reason: ForgottenBecause, count: number): void {
      counts.set(reason, (counts.get(reason) ?? 0) + count);
      const more = bursts(reason, count);
      if (more !== undefined)
        log.warn({ reason, more }, 'what a persistent session had subscribed is not remembered');
    },
    counts: (): Snapshot['sessionsForgotten'] => Array.from(counts, ([reason, count]) => ({ reason, count })),
  };
}
