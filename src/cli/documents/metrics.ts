import { createMetrics, type Snapshot } from '../../base/metrics/metrics.ts';
import { markdownTable } from './sections.ts';

/** The table of metrics, as Prometheus itself is told of them. */

/** Series of each, so that every label shows. */
const everything: Snapshot = {
  connections: [{ listener: '', node: '', count: 1 }],
  connectionsTotal: [{ listener: '', count: 1 }],
  rejectedTotal: [{ reason: '', count: 1 }],
  connectsDelayed: [{ cause: '', count: 1 }],
  disconnectsTotal: [{ cause: '', count: 1 }],
  messages: [{ direction: 'from_device', type: '', count: 1 }],
  bytes: [{ listener: '', node: '', direction: 'from_device', count: 1 }],
  publishes: [{ listener: '', node: '', direction: 'from_device', count: 1 }],
  connects: { bounds: [1], counts: [0, 0], sum: 0 },
  dials: { bounds: [1], counts: [0, 0], sum: 0 },
  nodes: [{ node: '', up: true }],
  storeUp: true,
  isDraining: false,
  eventsDropped: 0,
  longestTurns: [{ thread: 0, seconds: 1 }],
  failingThreads: [],
  threadDeaths: 0,
  certificates: [
    { listener: '', seconds: 1 },
    { pool: 'default', seconds: 1 },
  ],
  logLinesDropped: 0,
  sessionsForgotten: [{ reason: '', count: 1 }],
  recordsSkipped: [{ key: '', reason: '', count: 1 }],
};

/** @throws Error where a metric has no series to show its labels by */
export async function metricTable(): Promise<string> {
  const metrics = createMetrics();
  metrics.reattached({ cause: '', to: '', durationMs: 1 });
  metrics.requests('', 200, 1);
  metrics.incident('');
  const { body } = await metrics.exposition(everything);
  const rows = [...body.matchAll(/^# HELP (breakwater_\w+) (.*)\n# TYPE \1 (\w+)$/gm)].map(
    ([, name = '', help = '', type = '']) => [`\`${name}${labelsOf(name, body)}\``, type, help],
  );
  return markdownTable(['metric', 'type', 'meaning'], rows.sort(byName));
}

function labelsOf(name: string, body: string): string {
  const series = [...body.matchAll(new RegExp(`^${name}(?:_bucket)?(?:\\{(.*)\\})? `, 'gm'))];
  if (series.length === 0) throw new Error(`${name} has no series`);
  const labels = new Set(
    series.flatMap(([, list = '']) => [...list.matchAll(/(\w+)="/g)].map(([, one]) => one)),
  );
  const ours = [...labels].filter((label) => label !== 'le');
  return ours.length === 0 ? '' : `{${ours.join(',')}}`;
}

function byName([a = '']: readonly string[], [b = '']: readonly string[]): number {
  return a < b ? -1 : 1;
}
