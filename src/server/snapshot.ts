import { rejectReasons, type TableWriter } from '../data-plane/routing-table.ts';
import type { MembershipStore } from '../membership/store.ts';
import type { Snapshot } from '../metrics/metrics.ts';
import type { NodeTable } from '../nodes/table.ts';

/** What Prometheus is told: read from shared memory when it asks, so that counting costs the data threads nothing. */
export function snapshotOf(
  table: TableWriter,
  nodes: NodeTable,
  store: Pick<MembershipStore, 'isUp'>,
  listenerUrls: readonly string[],
): Snapshot {
  const list = nodes.list();
  return {
    connections: listenerUrls.flatMap((listener, index) =>
      list.map(({ id }) => ({ listener, node: id, count: table.liveByListener(id, index) })),
    ),
    connectionsTotal: listenerUrls.map((listener, index) => ({ listener, count: table.accepted(index) })),
    rejectedTotal: rejectReasons.map((reason) => ({ reason, count: table.rejected(reason) })),
    bytesFromDevices: table.counter('bytesFromDevice'),
    bytesToDevices: table.counter('bytesToDevice'),
    dials: table.dials(),
    nodes: list.map(({ id, health }) => ({ node: id, up: health !== 'unhealthy' })),
    storeUp: store.isUp(),
    eventsDropped: table.counter('eventsDropped'),
  };
}
