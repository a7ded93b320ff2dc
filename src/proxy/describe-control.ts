import type { Config } from '../config/config.ts';
import { tableThreads } from '../data-plane/data-plane.ts';
import { orderAgain } from '../data-plane/recent-orders.ts';
import { openTable } from '../data-plane-api/routing-table.ts';
import { describeTotals, restoreTotals } from '../data-plane-api/totals.ts';
import type { ControlState, LastWords } from './control-state.ts';
import { describeHealth } from './known-health.ts';
import type { RunningParts } from './running-parts.ts';

/** What goes from the control plane of one process to that of the next: here it is put together, and taken up again. */

/** What no upgrade can change: who this proxy is to the others, and where they meet. */
export function fixedParts({ cluster, proxy, membership }: Config): Record<string, unknown> {
  return {
    cluster,
    'proxy.id': proxy.id,
    'membership.store': membership.store,
    'membership.url': membership.url,
  };
}

export function describeControl({
  common,
  control,
  dataPlane,
}: Pick<RunningParts, 'common' | 'control' | 'dataPlane'>): ControlState {
  const { id, startedAt, generation } = common.identity;
  const { seed, levels } = dataPlane.threads.reconnectThrottle;
  return {
    identity: { id, startedAt, generation },
    fixed: fixedParts(common.current.config),
    keys: control.keys.describe(),
    sessionsStart: control.cluster.sessions.start,
    moves: control.underWay.describe(),
    reconnects: { seed, levels: levels.slice() },
    lastNumber: common.table.lastNumber,
    nodes: describeHealth(control),
    store: control.store.describe(),
  };
}

export async function describeLast(
  { common, control, dataPlane }: Omit<RunningParts, 'admin' | 'owners'>,
  orders: LastWords['orders'],
): Promise<LastWords> {
  const nodes = control.nodes.list().map(({ id }) => id);
  return {
    journal: common.journal.describe(),
    incidents: common.incidents.describe(),
    totals: describeTotals(common.table, dataPlane.listeners.keys(), nodes),
    metrics: await common.metrics.describe(),
    history: common.history.describe(),
    moves: control.underWay.describe(),
    orders,
    missedSessions: control.cluster.sessions.describeMissed(),
    store: control.store.describe(),
  };
}

export async function restoreLast(
  { totals, metrics, moves, orders, missedSessions, store, journal, incidents, history }: LastWords,
  { common, control, dataPlane }: RunningParts,
): Promise<void> {
  const { memory, identity, table } = common;
  common.journal.restore(journal);
  common.incidents.restore(incidents);
  common.history.restore(history);
  const raw = openTable(memory, tableThreads(identity.threads));
  restoreTotals(raw, table, (key) => dataPlane.listeners.indexOf(key), totals);
  await common.metrics.restore(metrics);
  if (store !== undefined) control.store.restore(store);
  control.underWay.restore(moves);
  orderAgain(dataPlane.threads.alive, orders);
  control.cluster.sessions.restoreMissed(missedSessions);
}
