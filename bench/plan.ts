import type { Task } from './load/measures.ts';

/** One load, against whom, and under which settings. */
export interface Measure {
  readonly name: string;
  /** Heading and explanation in docs/benchmarks.md. */
  readonly title: string;
  /** The function of `load/main.ts`. */
  readonly load: string;
  readonly contenders: readonly string[];
  readonly settings: Omit<Task, 'proxy' | 'sink' | 'pids'>;
  /** Where fewer than those of the run are enough: what is counted is the same every time, or takes long. */
  readonly rounds?: number;
  /** A load that takes longer than others to have its connections. */
  readonly opensMs?: number;
}

export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

const PROXIES = ['haproxy', 'nginx', 'breakwater-uring', 'breakwater-epoll', 'breakwater-node'] as const;
const SESSIONS = ['breakwater-uring-session', 'breakwater-session'];
const ENGINES = ['engine-uring', 'engine-epoll', 'engine-node']; // only when asked for with --only
const TLS = ['haproxy-tls', 'breakwater-tls-uring', 'breakwater-tls', 'breakwater-tls-node'];
const FEW_ROUNDS = 3;

export interface Pace {
  readonly rounds: number;
  /** Each sample is of a new process, whose code is compiled while it runs, by threads that want the same core. */
  readonly warmUpMs: number;
  readonly windowMs: number;
}

export function plan(pace: Pace): readonly Measure[] {
  return [...messages(pace), ...connections(pace), ...tls(pace), ...web(pace), ...growth()];
}

/** A measure may ask for fewer rounds than the run has. */
export const roundsOf = ({ rounds }: Measure, pace: Pace): number =>
  Math.min(rounds ?? pace.rounds, pace.rounds);

/** Starting and stopping a proxy and its load, and looking whether the machine is quiet. */
const AROUND_SAMPLE_MS = 1300;

/** How long these measures take, if nobody else uses the machine. */
export function expectedMs(
  measures: readonly Measure[],
  pace: Pace,
  takesPart: (name: string) => boolean,
): number {
  let ms = 0;
  for (const measure of measures) {
    const { settings, contenders, opensMs = 0 } = measure;
    const load = (settings.warmUpMs + settings.windowMs) * (settings.steps?.length ?? 1);
    ms += contenders.filter(takesPart).length * roundsOf(measure, pace) * (AROUND_SAMPLE_MS + opensMs + load);
  }
  return ms;
}

function messages({ warmUpMs, windowMs }: Pace): readonly Measure[] {
  const steady = { warmUpMs, windowMs };
  return [
    {
      name: 'fanIn',
      title: 'CPU per message: 500 devices publish 100 bytes with QoS 0, 40,000 a second',
      load: 'fanIn',
      contenders: [...PROXIES, ...ENGINES, ...SESSIONS],
      settings: { connections: 500, ratePerSecond: 40_000, ...steady },
    },
    {
      name: 'echo',
      title: 'Round trips: 64 devices send 100 bytes as soon as their last have come back',
      load: 'echo',
      contenders: ['direct', ...PROXIES, ...ENGINES, ...SESSIONS],
      settings: { connections: 64, ratePerSecond: 0, ...steady },
    },
    {
      name: 'latency',
      title:
        'Latency at a rate that nobody saturates: 50 devices, 20,000 round trips a second, timed from when due',
      load: 'latency',
      contenders: ['direct', ...PROXIES, ...ENGINES, ...SESSIONS],
      settings: { connections: 50, ratePerSecond: 20_000, ...steady },
    },
    {
      name: 'qos1',
      title: 'CPU per acknowledged message: 500 devices publish 100 bytes with QoS 1, 15,000 a second',
      load: 'qos1',
      contenders: ['haproxy', 'breakwater-uring', 'breakwater-epoll', ...SESSIONS],
      settings: { connections: 500, ratePerSecond: 15_000, ...steady },
    },
    {
      name: 'bulk',
      title:
        'Large messages: CPU per megabyte, 16 devices publish 300 MB a second, in payloads of 64 kB and of 1 MB (`haproxy-splice` has `option splice-auto`)',
      load: 'bulk',
      contenders: ['haproxy', 'haproxy-splice', ...PROXIES.slice(1)],
      settings: { connections: 16, ratePerSecond: 300, ...steady, steps: [65_536, 1_048_576] },
      rounds: FEW_ROUNDS,
    },
    {
      name: 'fanOut',
      title:
        'Fan-out: a message of 100 bytes goes to 2,000 devices at once, 15 times a second; how long until the last one has it',
      load: 'fanOut',
      contenders: PROXIES,
      settings: { connections: 2000, ratePerSecond: 15, ...steady },
    },
    {
      name: 'contention',
      title:
        'Two threads at the rate of one: CPU per message, 500 devices publish 100 bytes with QoS 0, 20,000 a second; both cores may be used, and the load sleeps on one of them between messages',
      load: 'fanIn',
      contenders: ['haproxy', 'breakwater-uring', 'breakwater-epoll'].flatMap((name) => [
        `${name}-1-thread`,
        `${name}-2-threads`,
      ]),
      settings: { connections: 500, ratePerSecond: 20_000, ...steady, sharesCore: true },
    },
  ];
}

/** What connections cost, to open, to refuse and to keep. */
function connections({ warmUpMs, windowMs }: Pace): readonly Measure[] {
  const silent = { connections: 8000, ratePerSecond: 0, warmUpMs: 0 };
  return [
    {
      name: 'connects',
      title: 'Connects: TCP, CONNECT, CONNACK, reset, 64 at a time',
      load: 'connects',
      contenders: ['direct', 'haproxy-mqtt', ...PROXIES, ...ENGINES, ...SESSIONS],
      settings: { connections: 64, ratePerSecond: 0, warmUpMs, windowMs },
    },
    {
      name: 'refusals',
      title:
        'Refusals: connections from an address that may not connect, 64 at a time (HAProxy’s `tcp-request connection reject`, nginx’s `deny`, our `limits.deny` that tells nobody why)',
      load: 'refusals',
      contenders: [
        'haproxy-deny',
        'nginx-deny',
        'breakwater-uring-deny',
        'breakwater-epoll-deny',
        'breakwater-node-deny',
      ],
      settings: { connections: 64, ratePerSecond: 0, warmUpMs, windowMs, from: '127.0.0.2' },
      rounds: FEW_ROUNDS,
    },
    {
      name: 'idle',
      title:
        'Memory: what the 1,001st to the 8,000th device that is connected and says nothing take, each, and all 8,000 with what the first bring along, such as compiled code',
      load: 'idle',
      contenders: ['haproxy-mqtt', ...PROXIES, ...ENGINES],
      settings: { ...silent, windowMs: 500 },
      rounds: FEW_ROUNDS,
      opensMs: 1500,
    },
    {
      name: 'subscribed',
      title:
        'Memory of sessions: live objects of a device with two subscriptions, in relay and in session mode (the 1,001st to the 8,000th, after garbage collection)',
      load: 'subscribed',
      contenders: ['breakwater-weighed', 'breakwater-weighed-session'],
      settings: { ...silent, windowMs: 0 },
      rounds: FEW_ROUNDS,
      opensMs: 7000,
    },
  ];
}

function tls({ warmUpMs, windowMs }: Pace): readonly Measure[] {
  const warm = { connections: 16, ratePerSecond: 0, warmUpMs, windowMs };
  return [
    {
      name: 'tlsEcho',
      title: 'TLS 1.3: CPU per round trip of 100 bytes, 64 devices',
      load: 'tlsEcho',
      contenders: [...TLS, 'breakwater-tls-openssl'],
      settings: { ...warm, connections: 64 },
    },
    {
      name: 'tlsHandshakes',
      title: 'TLS 1.3: CPU per full handshake (P-256) and per resumed one, CONNECT and CONNACK included',
      load: 'tlsHandshakes',
      contenders: TLS,
      settings: warm,
      opensMs: warmUpMs + windowMs, // of the resumed ones
    },
    {
      name: 'tlsRsa',
      title: 'TLS 1.3: CPU per full handshake with RSA-2048, CONNECT and CONNACK included',
      load: 'tlsConnects',
      contenders: ['haproxy-tls-rsa', 'breakwater-tls-rsa-uring', 'breakwater-tls-rsa'],
      settings: warm,
      rounds: FEW_ROUNDS,
    },
    {
      name: 'tlsIdle',
      title: 'TLS 1.3 memory: 4,000 devices that are connected and say nothing',
      load: 'tlsIdle',
      contenders: [...TLS, 'breakwater-tls-openssl'],
      settings: { ...warm, connections: 4000, warmUpMs: 0, windowMs: 500 },
      rounds: FEW_ROUNDS,
      opensMs: 6000,
    },
    {
      name: 'threads',
      title:
        'Two threads over one: full handshakes of TLS 1.3 with RSA-8192, of which the load does little: it shares the second core',
      load: 'tlsRate',
      contenders: ['breakwater-tls-1-thread', 'breakwater-tls-2-threads'],
      // Some forty a second: a short window would count too few.
      settings: { ...warm, connections: 24, windowMs: 6 * windowMs },
      rounds: FEW_ROUNDS,
    },
  ];
}

function web({ warmUpMs, windowMs }: Pace): readonly Measure[] {
  const saturating = { connections: 64, ratePerSecond: 0, warmUpMs, windowMs };
  return [
    {
      name: 'wsEcho',
      title:
        'WebSocket: CPU per round trip of 100 bytes, 64 devices. HAProxy (`mode http`) passes frames to a node that speaks WebSocket; Breakwater unmasks and frames, and its node speaks MQTT',
      load: 'wsEcho',
      contenders: ['haproxy-ws', 'breakwater-ws', 'breakwater-ws-node', 'breakwater-ws-session'],
      settings: saturating,
      rounds: FEW_ROUNDS,
    },
    {
      name: 'wsIdle',
      title: 'WebSocket memory: the same of 8,000 devices that are connected and say nothing',
      load: 'wsIdle',
      contenders: ['haproxy-ws', 'breakwater-ws', 'breakwater-ws-node'],
      settings: { connections: 8000, ratePerSecond: 0, warmUpMs: 0, windowMs: 500 },
      rounds: FEW_ROUNDS,
      opensMs: 2000,
    },
    {
      name: 'http',
      title:
        'HTTP: CPU per request with an answer of 100 bytes, 64 connections that are kept, on both sides (`node-http` is the least proxy of `node:http` and `undici`: `bench/bare-http.ts`)',
      load: 'httpRequests',
      contenders: ['haproxy-http', 'nginx-http', 'node-http', 'breakwater-http'],
      settings: saturating,
      rounds: FEW_ROUNDS,
    },
  ];
}

const GROWTH = { contenders: PROXIES, rounds: FEW_ROUNDS };
const STEP = { warmUpMs: 500, windowMs: 600 };

/** Drawn, too: see `plots.ts`. */
function growth(): readonly Measure[] {
  return [
    {
      ...GROWTH,
      name: 'byConnections',
      title:
        'CPU µs per message by the number of connections: 100 bytes with QoS 0, 20,000 a second in all. A process may have 20,000 files open here, which is enough for 9,500 connections',
      load: 'byConnections',
      settings: { ...STEP, connections: 0, ratePerSecond: 20_000, steps: [100, 500, 2000, 4500, 9000] },
      opensMs: 1500,
    },
    {
      ...GROWTH,
      name: 'byRate',
      title:
        'CPU µs per message by the rate: 500 devices publish 100 bytes with QoS 0, so many a second in all',
      load: 'byRate',
      settings: {
        ...STEP,
        connections: 500,
        ratePerSecond: 0,
        steps: [5000, 10_000, 20_000, 40_000, 60_000],
      },
    },
  ];
}
