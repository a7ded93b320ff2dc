/** Ends a proxy without cutting devices off early. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../base/log.ts';
import { type Clock, systemClock } from '../base/time.ts';

interface ShutdownParts {
  readonly clock: Clock;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly log: Log;
  readonly graceMs: () => number;
  /** Devices that are still connected. */
  readonly devices: () => number;
  /** Processes that were the proxy before, and still have devices: they let theirs go meanwhile. */
  readonly formers: () => number;
  /** From now on the proxy is not ready. */
  readonly begin: () => void;
  /** May the listeners close: somebody else takes devices, or nobody is to be waited for? */
  readonly isTakenOver: () => boolean;
  readonly stopAccepting: () => void;
  /** Ends this part of the devices that were there when it was first called, of those that have not left yet; 1: everybody. */
  readonly dismiss: (part: number) => Promise<void>;
  /** The listeners have closed: those too leave in turn who came while they were open. */
  readonly closedLate: () => void;
  readonly close: () => Promise<void>;
}

const TAKEN_OVER = 'another proxy takes devices';
const NEARLY_OVER = 'the grace is nearly over';

/** How often devices are asked to leave, and it is looked whether the last has left. */
const GRACE_POLL_MS = 100;
/**
 * Processes that were the proxy before have the same grace, and then so long to end: with this one a container or a service
 * ends, and whatever it has left is killed.
 */
const FORMERS_MS = 2_000;
/**
 * In the last part of the grace nobody is accepted, whether anybody else takes devices or not: those who came back before need that
 * time to leave one after the other.
 */
const LAST_PART = 1 / 4;
/** After a look that came late, what it missed is spread over the time that is left. */
const STEP_MAX_MS = 2 * GRACE_POLL_MS;

/**
 * Asks devices to leave one after the other over the time of grace, and closes: all at once they would storm whoever takes
 * them, because each logs in anew. While nobody else takes devices the listeners stay open until the last part of the grace, and who
 * comes then leaves behind that: an address that refuses everybody for the whole grace would be worse than to be let go twice.
 */
export function createShutdown(parts: ShutdownParts) {
  const { clock, sleep, log, devices, formers, dismiss } = parts;
  let graceEndsAt = Number.POSITIVE_INFINITY;
  let stopping: Promise<void> | undefined;
  let resolveClosed: () => void;
  const closed = new Promise<void>((resolve) => {
    resolveClosed = resolve;
  });

  async function stopInOrder(): Promise<void> {
    const grace = parts.graceMs();
    let lookedAt = clock.now();
    graceEndsAt = lookedAt + grace;
    parts.begin();
    let accepts = !parts.isTakenOver();
    if (!accepts) parts.stopAccepting();
    log.info({ devices: devices(), grace: grace / 1000, accepts }, 'stopping');
    while ((devices() > 0 || formers() > 0) && clock.now() < graceEndsAt) {
      const now = clock.now();
      const stepMs = Math.min(STEP_MAX_MS, now - lookedAt);
      await dismiss(stepMs / (graceEndsAt - now + stepMs));
      lookedAt = now;
      const why = parts.isTakenOver() ? TAKEN_OVER : now >= graceEndsAt - LAST_PART * grace && NEARLY_OVER;
      if (accepts && why !== false) {
        accepts = false;
        log.info({ devices: devices(), why }, 'the listeners close');
        parts.stopAccepting();
        parts.closedLate();
      }
      await sleep(GRACE_POLL_MS);
    }
    if (accepts) parts.stopAccepting();
    log.info({ devices: devices() }, 'stopped');
    if (devices() > 0) await dismiss(1);
    await parts.close();
    while (formers() > 0 && clock.now() < graceEndsAt + FORMERS_MS) await sleep(GRACE_POLL_MS);
    resolveClosed();
  }

  const stop = (): Promise<void> => (stopping ??= stopInOrder());
  return {
    closed,
    stop,
    /** Cuts the grace short. */
    abort(): void {
      void stop();
      graceEndsAt = 0;
    },
  };
}

/** What was asked of the admin API before an upgrade is answered within this time. */
const LAST_ANSWERS_MS = 1_000;

/** Another process is the proxy: resolves when the last device has left this one, or after so long. */
export async function outlast(
  admin: { close(): Promise<void> },
  devices: () => number,
  graceMs: number,
): Promise<void> {
  const endsAt = systemClock.now() + graceMs;
  await sleep(LAST_ANSWERS_MS);
  await admin.close();
  while (devices() > 0 && systemClock.now() < endsAt) await sleep(GRACE_POLL_MS);
}
