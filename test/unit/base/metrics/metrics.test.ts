import { expect, test } from 'vitest';
import { boundLabel } from '../../../../src/base/metrics/label.ts';
import { createMetrics, type Snapshot } from '../../../../src/base/metrics/metrics.ts';

const empty: Snapshot = {
  connects: { bounds: [0.1], counts: [0, 0], sum: 0 },
  dials: { bounds: [0.1], counts: [0, 0], sum: 0 },
  connections: [],
  connectionsTotal: [],
  rejectedTotal: [],
  disconnectsTotal: [],
  connectsDelayed: [],
  messages: [],
  bytes: [],
  publishes: [],
  nodes: [],
  storeUp: true,
  eventsDropped: 0,
  logLinesDropped: 0,
  longestTurns: [],
  failingThreads: [],
  threadDeaths: 0,
  isDraining: false,
  certificates: [],
  recordsSkipped: [],
  sessionsForgotten: [],
};

async function lines(snapshot: Snapshot): Promise<string[]> {
  return (await createMetrics().exposition(snapshot)).body.split('\n');
}

test('counts kept elsewhere are read at scrape time under the names of the contract', async () => {
  const body = await lines({
    connections: [{ listener: 'mqtt://:1883', node: 'a', count: 3 }],
    connectionsTotal: [{ listener: 'mqtt://:1883', count: 7 }],
    rejectedTotal: [{ reason: 'malformed', count: 2 }],
    connectsDelayed: [{ cause: 'flapping', count: 5 }],
    disconnectsTotal: [{ cause: 'no-node', count: 4 }],
    messages: [{ direction: 'to_device', type: 'publish', count: 9 }],
    bytes: [
      { listener: 'mqtt://:1883', node: 'a', direction: 'from_device', count: 10 },
      { listener: '', node: '', direction: 'to_device', count: 20 },
    ],
    publishes: [{ listener: 'mqtt://:1883', node: 'a', direction: 'to_device', count: 6 }],
    connects: { bounds: [0.1, 1], counts: [1, 0, 2], sum: 7 },
    dials: { bounds: [0.1, 1], counts: [2, 1, 1], sum: 4.5 },
    nodes: [
      { node: 'a', up: true },
      { node: 'b', up: false },
    ],
    storeUp: false,
    eventsDropped: 0,
    logLinesDropped: 3,
    longestTurns: [{ thread: 1, seconds: 0.25 }],
    failingThreads: [1],
    threadDeaths: 5,
    isDraining: true,
    certificates: [
      { listener: 'mqtts://:8883', seconds: 90 },
      { listener: 'mqtts://:8883', seconds: 60 },
      { pool: 'default', seconds: -5 },
    ],
    recordsSkipped: [{ key: 'nodes', reason: 'json', count: 2 }],
    sessionsForgotten: [{ reason: 'no-room', count: 3 }],
  });
  for (const line of [
    'breakwater_sessions_forgotten_total{reason="no-room"} 3',
    'breakwater_connections{listener="mqtt://:1883",node="a"} 3',
    'breakwater_connections_total{listener="mqtt://:1883"} 7',
    'breakwater_connect_rejected_total{reason="malformed"} 2',
    'breakwater_certificate_expiry_seconds{listener="mqtts://:8883"} 60',
    'breakwater_certificate_expiry_seconds{pool="default"} -5',
    'breakwater_connects_delayed_total{cause="flapping"} 5',
    'breakwater_device_disconnects_total{cause="no-node"} 4',
    'breakwater_messages_total{direction="to_device",type="publish"} 9',
    'breakwater_bytes_total{listener="mqtt://:1883",node="a",direction="from_device"} 10',
    'breakwater_bytes_total{listener="",node="",direction="to_device"} 20',
    'breakwater_publishes_total{listener="mqtt://:1883",node="a",direction="to_device"} 6',
    'breakwater_connect_duration_seconds_bucket{le="1"} 1',
    'breakwater_connect_duration_seconds_sum 7',
    'breakwater_dial_duration_seconds_bucket{le="0.1"} 2',
    'breakwater_dial_duration_seconds_bucket{le="1"} 3',
    'breakwater_dial_duration_seconds_bucket{le="+Inf"} 4',
    'breakwater_dial_duration_seconds_sum 4.5',
    'breakwater_dial_duration_seconds_count 4',
    'breakwater_turn_seconds_max{thread="1"} 0.25',
    'breakwater_threads_failing 1',
    'breakwater_proxy_draining 1',
    'breakwater_thread_deaths_total 5',
    'breakwater_node_up{node="a"} 1',
    'breakwater_node_up{node="b"} 0',
    'breakwater_membership_store_up 0',
    'breakwater_membership_records_skipped_total{key="nodes",reason="json"} 2',
  ]) {
    expect(body).toContain(line);
  }
});

test('a second scrape replaces the first: counters do not add up twice, and a departed node leaves no series', async () => {
  let snapshot: Snapshot = {
    ...empty,
    connections: [{ listener: 'l', node: 'gone', count: 1 }],
    connectionsTotal: [{ listener: 'l', count: 5 }],
    nodes: [{ node: 'gone', up: true }],
  };
  const metrics = createMetrics();
  await metrics.exposition(snapshot);
  snapshot = { ...empty, connectionsTotal: [{ listener: 'l', count: 6 }] };
  const { body } = await metrics.exposition(snapshot);
  expect(body).toContain('breakwater_connections_total{listener="l"} 6');
  expect(body).not.toContain('gone');
});

test('durations are histograms in seconds', async () => {
  const metrics = createMetrics();
  metrics.probed(0.004);
  const { body, contentType } = await metrics.exposition(empty);
  expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(body).toContain('breakwater_probe_duration_seconds_bucket{le="0.005"} 1');
  expect(body).toContain('breakwater_probe_duration_seconds_sum 0.004');
});

test('the process and the runtime are measured too', async () => {
  const metrics = createMetrics();
  metrics.delayed(0.02);
  const { body } = await metrics.exposition(empty);
  expect(body).toMatch(/^process_resident_memory_bytes \d/m);
  expect(body).toMatch(/^nodejs_heap_size_used_bytes \d/m);
  expect(body).not.toContain('nodejs_eventloop_lag_p99_seconds');
  expect(body).toContain('breakwater_control_delay_seconds_bucket{le="0.025"} 1');
});

test('a label without end becomes `other`, and its counts are kept', async () => {
  const rejectedTotal = Array.from({ length: 100 }, (_, i) => ({ reason: `reason-${i}`, count: 1 }));
  const series = (await lines({ ...empty, rejectedTotal })).filter((line) =>
    line.startsWith('breakwater_connect_rejected_total{'),
  );
  expect(series).toHaveLength(65);
  expect(series).toContain('breakwater_connect_rejected_total{reason="other"} 36');
});

test('a bounded label lets a value pass always that passed once', () => {
  const label = boundLabel(2);
  expect(['a', 'b', 'c', 'a', 'b', 'd'].map(label)).toEqual(['a', 'b', 'other', 'a', 'b', 'other']);
});

test('counters and histograms that are kept nowhere else go on in another process', async () => {
  const old = createMetrics(['node-lost']);
  old.probed(0.001);
  old.probed(400);
  old.delayed(0.02);
  old.reattached({ cause: 'node-lost', to: 'a', durationMs: 40 });
  old.incident('node-lost');
  const next = createMetrics(['node-lost']);
  next.probed(0.002);
  const handed = structuredClone(await old.describe());
  await next.restore(handed);
  await next.restore({
    counters: [],
    histograms: [{ name: 'breakwater_probe_duration_seconds', bounds: [1], counts: [7, 7], sum: 7 }],
  });
  const shown = async (metrics: typeof old): Promise<string[]> => {
    const { body } = await metrics.exposition(empty);
    return body.split('\n').filter((line) => /^breakwater_(probe|control|reattach|incidents)/.test(line));
  };
  old.probed(0.002);
  expect(await shown(next)).toEqual(await shown(old));
  expect(await shown(next)).toContain('breakwater_probe_duration_seconds_bucket{le="0.001"} 1');
  expect(await shown(next)).toContain('breakwater_probe_duration_seconds_count 3');
});
