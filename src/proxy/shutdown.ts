/** Ends a proxy without cutting devices off early. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';

interface ShutdownParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly graceMs: () => number;
  /** Devices that are still connected. */
  readonly devices: () => number;
  readonly stopAccepting: () => void;
  /** Ends devices until about this part is left of those that there were. */
  readonly thin: (left: number) => void;
  readonly close: () => Promise<void>;
}

/** How often devices are asked to leave, and it is looked whether the last has left. */
const GRACE_POLL_MS = 100;

/**
 * Stops accepting, asks devices to leave one after the other over the time of grace, and closes. All at once they would
 * storm whoever takes them: each logs in anew.
 */
export function createShutdown({ clock, log, graceMs, devices, stopAccepting, thin, close }: ShutdownParts) {
  let graceEndsAt = Number.POSITIVE_INFINITY;
  let stopping: Promise<void> | undefined;
  let resolveClosed: () => void;
  const closed = new Promise<void>((resolve) => {
    resolveClosed = resolve;
  });

  async function stopInOrder(): Promise<void> {
    const grace = graceMs();
    graceEndsAt = clock.now() + grace;
    stopAccepting();
    log.info({ devices: devices(), grace: grace / 1000 }, 'stopping');
    while (devices() > 0 && clock.now() < graceEndsAt) {
      thin(Math.min(1, (graceEndsAt - clock.now()) / grace));
      await sleep(GRACE_POLL_MS);
    }
    log.info({ devices: devices() }, 'stopped');
    await close();
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
