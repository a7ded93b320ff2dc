import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin } from '../admin/admin.ts';
import { systemClock } from '../base/time.ts';
import { takingProxies } from '../membership/taking-proxies.ts';
import type { Common } from './common.ts';
import type { DataPlaneParts } from './data-plane-parts.ts';
import { keep } from './keeper.ts';
import type { Origin } from './origin.ts';
import { releaseMemory } from './release-memory.ts';
import { createShutdown, outlast } from './shutdown.ts';
import type { Control } from './start-control.ts';
import type { Teardown } from './teardown.ts';
import type { Upgrade } from './upgrade.ts';

/** How a proxy that runs ends. */

interface EndingParts {
  readonly common: Common;
  readonly dataPlane: DataPlaneParts;
  readonly control: Control;
  readonly admin: Admin;
  readonly upgrade: Upgrade;
  readonly teardown: Teardown;
  readonly origin: Pick<Origin, 'formers'>;
}

/** It is stopped, or another process takes its place. */
export function createEnding({ common, dataPlane, control, admin, upgrade, teardown, origin }: EndingParts) {
  const { formers } = origin;
  const { current, log, phase, table, serviceManager } = common;
  const { threads } = dataPlane;
  let successor: Promise<number> | undefined;
  const shutdown = createShutdown({
    ...{ clock: systemClock, sleep, log, close: () => teardown.run() },
    graceMs: () => current.config.limits.shutdownGraceMs,
    devices: () => table.devices(),
    begin() {
      phase.isAccepting = false;
      phase.isStopping = true;
      serviceManager.stopping();
      formers.end();
    },
    formers: () => formers.alive().length,
    isTakenOver: () => successor !== undefined || isTakenOver(common, control),
    stopAccepting: () => threads.stopAccepting(),
    dismiss: (part) => control.departures.end(part),
    closedLate: () => control.departures.anew(),
  });
  upgrade.onReplaced(({ line, proxy }) => {
    successor = line === undefined || serviceManager.isPresent ? Promise.resolve(0) : keep(line);
    const left = outlast(admin, () => table.devices(), current.config.limits.upgradeGraceMs);
    void Promise.race([left, proxy.ended()]).then(async () => {
      await shutdown.stop();
      proxy.close();
      releaseMemory();
    });
  });
  return {
    closed: shutdown.closed,
    stop: () => upgrade.cancel().then(shutdown.stop),
    abort(): void {
      void upgrade.cancel();
      shutdown.abort();
    },
    successor: () => successor,
  };
}

/** Another proxy of the cluster takes devices, or the configuration says that nobody is waited for. */
function isTakenOver({ current, identity }: Common, { cluster }: Pick<Control, 'cluster'>): boolean {
  if (current.config.limits.shutdownListeners === 'close') return true;
  return takingProxies(cluster.proxies()).some(({ id }) => id !== identity.id);
}
