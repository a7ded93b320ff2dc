import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { boundLabel } from './label.ts';
import {
  type NamedHistogram,
  ownHistogram,
  type SharedHistogram,
  sharedHistogram,
} from './shared-histogram.ts';

/** Counts that are kept elsewhere (shared memory, the node table) and read when Prometheus asks. */
export interface Snapshot {
  /** Live connections by listener and node. */
  readonly connections: Iterable<{
    readonly listener: string;
    readonly node: string;
    readonly count: number;
  }>;
  /** Connections accepted since the start, by listener. */
  readonly connectionsTotal: Iterable<{ readonly listener: string; readonly count: number }>;
  /** Devices turned away since the start, by reason. */
  readonly rejectedTotal: Iterable<{ readonly reason: string; readonly count: number }>;
  /** Devices that had to wait before they were placed, by cause. */
  readonly connectsDelayed: Iterable<{ readonly cause: string; readonly count: number }>;
  /** Served devices whose connection ended since the start, by cause. */
  readonly disconnectsTotal: Iterable<{ readonly cause: string; readonly count: number }>;
  /** Packets of session mode since the start, by MQTT packet type; those that nodes sent are `to_device`. */
  readonly messages: Iterable<{
    readonly direction: 'from_device' | 'to_device';
    readonly type: string;
    readonly count: number;
  }>;
  /** Payload bytes since the start. */
  readonly bytes: Iterable<TrafficCount>;
  /** PUBLISH packets of session mode since the start. */
  readonly publishes: Iterable<TrafficCount>;
  /** From the CONNECT of a device to its CONNACK. */
  readonly connects: SharedHistogram;
  /** From the dial of a node to its CONNACK. */
  readonly dials: SharedHistogram;
  readonly nodes: Iterable<{ readonly node: string; readonly up: boolean }>;
  readonly storeUp: boolean;
  /** Somebody has taken this proxy out. */
  readonly isDraining: boolean;
  /** Placed, ended and rejected devices that were not reported because too many came in one burst. */
  readonly eventsDropped: number;
  /** The longest turn of each data thread within the last minute. */
  readonly longestTurns: Iterable<{ readonly thread: number; readonly seconds: number }>;
  /** Data threads that die again and again. */
  readonly failingThreads: readonly number[];
  /** Deaths of data threads since the start. */
  readonly threadDeaths: number;
  /** How long certificates are still valid; negative: they are not any more. */
  readonly certificates: Iterable<{
    readonly listener?: string | undefined;
    readonly pool?: string | undefined;
    readonly seconds: number;
  }>;
  /** Lines of the log that standard output did not take. */
  readonly logLinesDropped: number;
  /** Persistent sessions whose subscriptions could not be remembered, by reason. */
  readonly sessionsForgotten: Iterable<{ readonly reason: string; readonly count: number }>;
  /** What was read from the membership store and could not be used, by key or channel, and reason. */
  readonly recordsSkipped: Iterable<{
    readonly key: string;
    readonly reason: string;
    readonly count: number;
  }>;
}

/** What devices of one listener sent or received while one node served them. */
interface TrafficCount {
  readonly listener: string;
  readonly node: string;
  readonly direction: 'from_device' | 'to_device';
  readonly count: number;
}

/** One series of a counter. */
interface CountedMetric {
  readonly name: string;
  readonly labels: string[][];
  readonly value: number;
}

interface HandedMetrics {
  readonly counters: CountedMetric[];
  readonly histograms: NamedHistogram[];
}

interface Metrics {
  /** Observes how long one active probe took, whatever it found. */
  probed(seconds: number): void;
  /** Observes how late the main thread came to what it does at a certain time. */
  delayed(seconds: number): void;
  /** A session moved to another node, or no node took it (`to` is absent). */
  reattached(reattachment: {
    readonly cause: string;
    readonly to: string | undefined;
    readonly durationMs: number;
  }): void;
  /** What the process before this one has counted, and this one for the next. */
  describe(): Promise<HandedMetrics>;
  restore(handed: HandedMetrics): Promise<void>;
  /** An incident of this kind has begun. */
  incident(kind: string): void;
  /** So many HTTP requests were answered with a status. */
  requests(listener: string, status: number, count: number): void;
  exposition(snapshot: Snapshot): Promise<{ contentType: string; body: string }>;
}

/** Reasons are words of ours, of which there are two dozen; the bound is for the day that one is not. */
const MAX_REASONS = 64;
/** Listeners are in the configuration and node slots in the routing table; both are fewer. */
const MAX_LISTENERS = 256;
const MAX_NODES = 4096;
/**
 * prom-client's own histogram of the event loop's delay wakes the main thread for each sample, on a core that may be busy,
 * and takes all the time between two for delay. `breakwater_control_delay_seconds` is in its place.
 */
const LAG_PRECISION_MS = 2 ** 31 - 1;
const LAG_STATISTICS = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'];
/** Gauges by the name of a counter, which `promtool check metrics` refuses; each is the sum of another one over its types. */
const SUMS = ['handles', 'requests', 'resources'];

const REATTACH_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20];
const DELAY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** From a TCP handshake on the same host to the longest probe timeout that may be configured, 300 s. */
const PROBE_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300];

/**
 * The metrics of one proxy, in their own registry. `collect` is called once for each scrape.
 * @param moveCauses are counted from 0 on: where a series begins with its first count, Prometheus sees no increase
 */
export function createMetrics(moveCauses: readonly string[] = []): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_PRECISION_MS });
  for (const name of LAG_STATISTICS) registry.removeSingleMetric(`nodejs_eventloop_lag_${name}_seconds`);
  for (const name of SUMS) registry.removeSingleMetric(`nodejs_active_${name}_total`);
  const refresh = createCollected(registry);
  const probe = ownHistogram(
    'breakwater_probe_duration_seconds',
    'Duration of active health probes, successful or not.',
    PROBE_BUCKETS_SECONDS,
  );
  const delay = ownHistogram(
    'breakwater_control_delay_seconds',
    'How late the main thread came to its work, twice a second; no device waits for it.',
    DELAY_BUCKETS_SECONDS,
  );
  for (const { metric } of [probe, delay]) registry.registerMetric(metric);
  const connects = sharedHistogram(
    'breakwater_connect_duration_seconds',
    'From the whole CONNECT of a device to the CONNACK that served it: waits, look-ups, and nodes that were tried before.',
  );
  const dials = sharedHistogram(
    'breakwater_dial_duration_seconds',
    'From the dial of a node to the CONNACK that served the device.',
  );
  for (const { metric } of [connects, dials]) registry.registerMetric(metric);
  const reattachments = new Counter({
    name: 'breakwater_reattachments_total',
    help: 'Sessions that moved (ok), and tries that no node took (failed), by cause.',
    labelNames: ['cause', 'result'],
    registers: [registry],
  });
  for (const cause of moveCauses)
    for (const result of ['ok', 'failed']) reattachments.inc({ cause, result }, 0);
  const requests = new Counter({
    name: 'breakwater_http_requests_total',
    help: 'HTTP requests by status; 499: the client left before its answer was whole.',
    labelNames: ['listener', 'code'],
    registers: [registry],
  });
  const incidents = new Counter({
    name: 'breakwater_incidents_total',
    help: 'Incidents that began, by kind; GET incidents tells them.',
    labelNames: ['kind'],
    registers: [registry],
  });
  const listenerOf = boundLabel(MAX_LISTENERS);
  const reattachSeconds = ownHistogram(
    'breakwater_reattach_duration_seconds',
    'From the loss of a node, or the order to move, to the session being served again.',
    REATTACH_BUCKETS_SECONDS,
  );
  registry.registerMetric(reattachSeconds.metric);
  return {
    reattached: ({ cause, to, durationMs }) => {
      reattachments.inc({ cause, result: to === undefined ? 'failed' : 'ok' });
      if (to !== undefined) reattachSeconds.observe(durationMs / 1000);
    },
    incident: (kind) => incidents.inc({ kind }),
    ...handedMetrics([reattachments, requests, incidents], [probe, delay, reattachSeconds]),
    probed: (seconds) => probe.observe(seconds),
    delayed: (seconds) => delay.observe(seconds),
    requests: (listener, status, count) =>
      requests.inc({ listener: listenerOf(listener), code: status }, count),
    exposition: async (snapshot) => {
      refresh(snapshot);
      connects.set(snapshot.connects);
      dials.set(snapshot.dials);
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/** What is counted nowhere else goes on in the process after this one. */
function handedMetrics(
  counters: readonly Counter<string>[],
  histograms: readonly ReturnType<typeof ownHistogram>[],
): Pick<Metrics, 'describe' | 'restore'> {
  return {
    async describe() {
      const all = await Promise.all(counters.map((counter) => counter.get()));
      const counted = all.flatMap(({ name, values }) =>
        values.map(({ labels, value }) => ({
          name,
          value,
          labels: Object.entries(labels).map(([key, text]) => [key, String(text)]),
        })),
      );
      return { counters: counted, histograms: histograms.map((histogram) => histogram.describe()) };
    },
    async restore(handed) {
      for (const counter of counters) {
        const { name } = await counter.get();
        for (const { value, labels, ...of } of handed.counters)
          if (of.name === name) counter.inc(Object.fromEntries(labels), value);
      }
      for (const known of handed.histograms) for (const each of histograms) each.restore(known);
    },
  };
}

/** The metrics that a snapshot fills. */
function defineCollected(registry: Registry) {
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name: `breakwater_${name}`, help, labelNames, registers });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter<L>({ name: `breakwater_${name}`, help, labelNames, registers });
  return {
    connections: gauge('connections', 'Live connections, counted from the dial on.', ['listener', 'node']),
    connectionsTotal: counter('connections_total', 'Connections accepted, those that were turned away too.', [
      'listener',
    ]),
    rejected: counter('connect_rejected_total', 'Devices turned away, by reason.', ['reason']),
    delayed: counter(
      'connects_delayed_total',
      'Devices that waited before they were placed: flapping (they connect over and over), node-rate (their turn at a node).',
      ['cause'],
    ),
    disconnects: counter('device_disconnects_total', 'Served devices that ended, by cause.', ['cause']),
    messages: counter(
      'messages_total',
      'MQTT packets in session mode, by type. Nodes sent those to_device, and some of them are for the proxy.',
      ['direction', 'type'],
    ),
    bytes: counter(
      'bytes_total',
      'Payload bytes of devices, as they come and go; without a listener those of HTTP, and, when they end, of devices that no node has served.',
      ['listener', 'node', 'direction'],
    ),
    publishes: counter('publishes_total', 'PUBLISH packets in session mode, as they come and go.', [
      'listener',
      'node',
      'direction',
    ]),
    eventsDropped: counter('events_dropped_total', 'Devices that a burst left untold in log and events.', []),
    logDropped: counter(
      'log_lines_dropped_total',
      'Log lines that were lost, because standard output did not take them.',
      [],
    ),
    nodeUp: gauge('node_up', '1 unless the node is unhealthy.', ['node']),
    skipped: counter(
      'membership_records_skipped_total',
      'Records and messages of the membership store that could not be used, each time they are read.',
      ['key', 'reason'],
    ),
    forgotten: counter(
      'sessions_forgotten_total',
      'Persistent sessions that are not remembered: no-room, store-away, backlog.',
      ['reason'],
    ),
    expiry: gauge(
      'certificate_expiry_seconds',
      'Until the first certificate of a listener, or towards the nodes of a pool, runs out; negative when it has.',
      ['listener', 'pool'],
    ),
    storeUp: gauge(
      'membership_store_up',
      '1 while the membership store answers; the memory store always does.',
    ),
  };
}

/** Likewise, of the proxy itself and its data threads. */
function defineProxy(registry: Registry) {
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name: `breakwater_${name}`, help, labelNames, registers });
  return {
    turns: gauge(
      'turn_seconds_max',
      'The longest turn of a data thread within the last minute; its other devices waited for so long.',
      ['thread'],
    ),
    deaths: new Counter({
      name: 'breakwater_thread_deaths_total',
      help: 'Data threads that died. Those of their devices that could go on did so at the next.',
      registers,
    }),
    failing: gauge('threads_failing', 'Data threads that die again and again; the proxy is not ready.'),
    draining: gauge(
      'proxy_draining',
      '1 while the proxy is drained: it is not ready, and its devices leave.',
    ),
  };
}

/** Fills them at each scrape. They are emptied first: a node that left takes its series with it. */
function createCollected(registry: Registry): (snapshot: Snapshot) => void {
  const collected = { ...defineCollected(registry), ...defineProxy(registry) };
  const {
    connections,
    connectionsTotal,
    rejected,
    delayed,
    disconnects,
    messages,
    bytes,
    publishes,
    eventsDropped,
    logDropped,
    nodeUp,
    turns,
    deaths,
    failing,
    skipped,
    forgotten,
    expiry,
    draining,
    storeUp,
  } = collected;
  const reasonOf = boundLabel(MAX_REASONS);
  const listenerOf = boundLabel(MAX_LISTENERS);

  return (snapshot) => {
    // Nodes come and go for years: their bound is per scrape, or the departed would use it up.
    const nodeOf = boundLabel(MAX_NODES);
    for (const metric of Object.values(collected)) metric.reset();
    for (const { listener, node, count } of snapshot.connections) {
      connections.inc({ listener: listenerOf(listener), node: nodeOf(node) }, count);
    }
    for (const { listener, count } of snapshot.connectionsTotal) {
      connectionsTotal.inc({ listener: listenerOf(listener) }, count);
    }
    for (const { reason, count } of snapshot.rejectedTotal) rejected.inc({ reason: reasonOf(reason) }, count);
    for (const { cause, count } of snapshot.connectsDelayed) delayed.inc({ cause }, count);
    for (const { cause, count } of snapshot.disconnectsTotal) disconnects.inc({ cause }, count);
    for (const { direction, type, count } of snapshot.messages) messages.inc({ direction, type }, count);
    for (const { thread, seconds } of snapshot.longestTurns) turns.set({ thread: String(thread) }, seconds);
    for (const [metric, counts] of [
      [bytes, snapshot.bytes],
      [publishes, snapshot.publishes],
    ] as const) {
      for (const { listener, node, direction, count } of counts)
        metric.inc({ listener: listenerOf(listener), node: nodeOf(node), direction }, count);
    }
    for (const { node, up } of snapshot.nodes) nodeUp.inc({ node: nodeOf(node) }, up ? 1 : 0);
    for (const { listener, pool, seconds } of earliest(snapshot.certificates))
      expiry.set(listener === undefined ? { pool: pool ?? '' } : { listener: listenerOf(listener) }, seconds);
    deaths.inc(snapshot.threadDeaths);
    failing.set(snapshot.failingThreads.length);
    eventsDropped.inc(snapshot.eventsDropped);
    logDropped.inc(snapshot.logLinesDropped);
    for (const { key, reason, count } of snapshot.recordsSkipped) skipped.inc({ key, reason }, count);
    for (const { reason, count } of snapshot.sessionsForgotten) forgotten.inc({ reason }, count);
    draining.set(snapshot.isDraining ? 1 : 0);
    storeUp.set(snapshot.storeUp ? 1 : 0);
  };
}

type Expiry = Snapshot['certificates'] extends Iterable<infer One> ? One : never;

/** Of each listener and pool the one that runs out first. */
function earliest(certificates: Iterable<Expiry>): Iterable<Expiry> {
  const first = new Map<string, Expiry>();
  for (const one of certificates) {
    const key = `${one.listener ?? ''} ${one.pool ?? ''}`;
    const known = first.get(key);
    if (known === undefined || one.seconds < known.seconds) first.set(key, one);
  }
  return first.values();
}
