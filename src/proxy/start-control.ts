import { systemClock } from '../base/time.ts';
import { rejectReasons } from '../data-plane-api/routing-table.ts';
import { RefusalMinutes } from '../journal/refusal-minutes.ts';
import { createDrainWatch } from '../migration/drain-watch.ts';
import { startBeat } from './beat.ts';
import type { Common } from './common.ts';
import type { DataPlaneParts } from './data-plane-parts.ts';
import { interruptible } from './interruptible.ts';
import { restoreHealth } from './known-health.ts';
import { createMembershipParts } from './membership-parts.ts';
import { createMigrationParts } from './migration-parts.ts';
import { createNodeParts } from './node-parts.ts';
import type { Teardown } from './teardown.ts';
import { createWorkerSettings } from './worker-settings.ts';

/**
 * Starts the control plane. Resolves when the first nodes are known and can be dialled, as far as they can be.
 * @throws the reason of `stopping`
 */
export async function startControl(
  common: Common,
  dataPlane: DataPlaneParts,
  teardown: Teardown,
  stopping: AbortSignal,
) {
  const nodeParts = createNodeParts(common, dataPlane, teardown);
  const membership = await createMembershipParts(common, dataPlane, nodeParts, teardown);
  const migration = createMigrationParts(common, dataPlane, nodeParts, membership, teardown);
  const settings = createWorkerSettings(common, dataPlane, nodeParts, membership);
  const control = { ...nodeParts, ...membership, ...migration, settings };
  teardown.defer(beat(common, dataPlane, control));
  await interruptible(
    membership.cluster.start().then(() => membership.keys.start()),
    stopping,
  );
  await interruptible(nodeParts.addresses.resolved(), stopping);
  if (common.former !== undefined) {
    restoreHealth(common.former.nodes, nodeParts);
    migration.underWay.restore(common.former.moves);
  }
  return control;
}

export type Control = Awaited<ReturnType<typeof startControl>>;

/** Looks twice a second at everything that only time changes. */
function beat(
  { table, log, events, metrics }: Common,
  { threads, watchdog }: DataPlaneParts,
  { nodes, slowStart, routes }: Pick<Control, 'nodes' | 'slowStart' | 'routes'>,
): () => void {
  const refusals = new RefusalMinutes(Date.now());
  const rejected = () => rejectReasons.map((reason) => ({ reason, count: table.rejected(reason) }));
  const watchDrains = createDrainWatch(
    (id) => table.connectionsAt(id),
    (node) => {
      log.info({ node: node.id }, 'node drained: its last connection has left');
      events.emit({ type: 'node-drained', at: new Date().toISOString(), node: node.id });
    },
  );
  return startBeat({
    ...{ clock: systemClock, delayed: metrics.delayed },
    look() {
      const all = nodes.list();
      for (const node of slowStart.starting(all)) routes.refresh(node);
      watchDrains(all);
      for (const minute of refusals.look(Date.now(), rejected))
        events.emit({ type: 'refusals', at: new Date().toISOString(), ...minute });
      watchdog.look();
      threads.watchNodes();
    },
  });
}
