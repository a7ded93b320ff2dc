/** Collects the figures for the metrics. */

import type { Snapshot } from '../base/metrics/metrics.ts';
import { endReasons } from '../connection/connection-host.ts';
import { rejectReasons, type TableWriter } from '../data-plane-api/routing-table.ts';
import type { MembershipStore } from '../membership/store/store.ts';
import type { Node } from '../nodes/node.ts';
import type { NodeTable } from '../nodes/table.ts';
import type { UsedCertificate } from './certificate-watch.ts';
import type { Listeners } from './listeners.ts';

const directions = ['from_device', 'to_device'] as const;
/** CONNECT is not counted as a message of a session: it is counted as a connection. */
const FIRST_COUNTED = 2;
/** MQTT 5.0 clause 2.1.2, from CONNACK on. */
const packetNames = [
  ...['connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'subscribe', 'suback'],
  ...['unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect', 'auth'],
] as const;

interface SnapshotParts {
  readonly table: TableWriter;
  readonly nodes: NodeTable;
  readonly store: Pick<MembershipStore, 'isUp'>;
  readonly listeners: Listeners;
  /** Lines of the log that were lost. */
  readonly logDropped: () => number;
  readonly skipped: () => Snapshot['recordsSkipped'];
  readonly forgotten: () => Snapshot['sessionsForgotten'];
  readonly isDraining: () => boolean;
  readonly longestTurns: () => Snapshot['longestTurns'];
  readonly threads: Pick<Snapshot, 'failingThreads' | 'threadDeaths'>;
  readonly usedCertificates: () => readonly UsedCertificate[];
}

/** The figures for Prometheus, read from shared memory when it asks, so that counting costs the workers nothing. */
export function snapshotOf(parts: SnapshotParts): Snapshot {
  const { table, nodes, store, listeners, logDropped, skipped, forgotten, longestTurns } = parts;
  const list = nodes.list();
  const counted = listeners.counted();
  return {
    connections: counted.flatMap(({ url: listener, index }) =>
      list.map(({ id }) => ({ listener, node: id, count: table.liveByListener(id, index) })),
    ),
    connectionsTotal: counted.map(({ url: listener, accepted: count }) => ({ listener, count })),
    rejectedTotal: rejectReasons.map((reason) => ({ reason, count: table.rejected(reason) })),
    disconnectsTotal: endReasons.map((cause) => ({ cause, count: table.ended(cause) })),
    messages: directions.flatMap((direction, side) =>
      packetNames.flatMap((type, i) => {
        const count = table.messages(side as 0 | 1, i + FIRST_COUNTED);
        return count === 0 ? [] : [{ direction, type, count }];
      }),
    ),
    ...trafficOf(table, counted, list),
    connects: table.connects(),
    dials: table.dials(),
    nodes: list.map(({ id, health }) => ({ node: id, up: health !== 'unhealthy' })),
    storeUp: store.isUp(),
    isDraining: parts.isDraining(),
    connectsDelayed: [
      { cause: 'flapping', count: table.counter('connectsHeldBack') },
      { cause: 'node-rate', count: table.counter('connectsQueued') },
    ],
    eventsDropped: table.counter('eventsDropped'),
    logLinesDropped: logDropped(),
    recordsSkipped: skipped(),
    sessionsForgotten: forgotten(),
    longestTurns: longestTurns(),
    failingThreads: parts.threads.failingThreads,
    threadDeaths: parts.threads.threadDeaths,
    certificates: parts.usedCertificates().map(({ listener, pool, notAfter }) => ({
      ...{ listener, pool, seconds: (Date.parse(notAfter) - Date.now()) / 1000 },
    })),
  };
}

type Traffic = Pick<Snapshot, 'bytes' | 'publishes'>;

/** By listener and node; of devices that no node has served, and of HTTP, in all. What is zero is left out. */
function trafficOf(
  table: TableWriter,
  listeners: ReturnType<Listeners['counted']>,
  nodes: readonly Node[],
): Traffic {
  const none = { listener: '', node: '' };
  const bytes = [
    { ...none, direction: 'from_device' as const, count: table.counter('bytesFromDevice') },
    { ...none, direction: 'to_device' as const, count: table.counter('bytesToDevice') },
  ];
  const publishes: (typeof bytes)[number][] = [];
  for (const { url: listener, index } of listeners) {
    for (const { id: node } of nodes) {
      const traffic = table.trafficAt(node, index);
      if (traffic === undefined || traffic.bytesFromDevice === 0) continue;
      const of = { listener, node };
      bytes.push({ ...of, direction: 'from_device', count: traffic.bytesFromDevice });
      bytes.push({ ...of, direction: 'to_device', count: traffic.bytesToDevice });
      publishes.push({ ...of, direction: 'from_device', count: traffic.publishesFromDevice });
      publishes.push({ ...of, direction: 'to_device', count: traffic.publishesToDevice });
    }
  }
  return { bytes, publishes };
}
