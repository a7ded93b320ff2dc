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
}

export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

const PROXIES = [
  'haproxy',
  'haproxy-mqtt',
  'nginx',
  'breakwater-uring',
  'breakwater-epoll',
  'breakwater-node',
] as const;
const EVERYONE = ['direct', ...PROXIES];
const ENGINES = ['engine-uring', 'engine-epoll', 'engine-node']; // only when asked for with --only
const TLS = ['haproxy-tls', 'breakwater-tls', 'breakwater-tls-openssl', 'breakwater-tls-node'];

export function plan(windowMs: number): readonly Measure[] {
  // Each sample is of a new process, whose code is still to be compiled.
  const steady = { warmUpMs: 1500, windowMs };
  const saturating = { connections: 64, ratePerSecond: 0, ...steady };
  return [
    {
      name: 'fanIn',
      title: 'CPU per message: 500 devices publish 100 bytes with QoS 0, 40,000 a second',
      load: 'fanIn',
      contenders: [...EVERYONE, ...ENGINES, 'breakwater-session', 'breakwater-uring-session'],
      settings: { connections: 500, ratePerSecond: 40_000, ...steady },
    },
    {
      name: 'echo',
      title: 'Round trips: 64 devices send 100 bytes as soon as their last have come back',
      load: 'echo',
      contenders: [...EVERYONE, ...ENGINES, 'breakwater-session', 'breakwater-uring-session'],
      settings: saturating,
    },
    {
      name: 'latency',
      title:
        'Latency at a rate that nobody saturates: 50 devices, 20,000 round trips a second, timed from when due',
      load: 'latency',
      contenders: [...EVERYONE, ...ENGINES, 'breakwater-session', 'breakwater-uring-session'],
      settings: { connections: 50, ratePerSecond: 20_000, ...steady },
    },
    {
      name: 'connects',
      title: 'Connects: TCP, CONNECT, CONNACK, reset, 64 at a time',
      load: 'connects',
      contenders: [...EVERYONE, ...ENGINES, 'breakwater-session', 'breakwater-uring-session'],
      settings: { ...saturating, warmUpMs: 3000 },
    },
    {
      name: 'idle',
      title: 'Memory: 8,000 devices that are connected and say nothing',
      load: 'idle',
      contenders: [...PROXIES, ...ENGINES],
      settings: { connections: 8000, ratePerSecond: 0, warmUpMs: 0, windowMs: 500 },
    },
    {
      name: 'subscribed',
      title:
        'Memory of sessions: live objects of a device with two subscriptions, in relay and in session mode (the 1,001st to the 8,000th, after garbage collection)',
      load: 'subscribed',
      contenders: ['breakwater-weighed', 'breakwater-weighed-session'],
      settings: { connections: 8000, ratePerSecond: 0, warmUpMs: 0, windowMs: 0 },
    },
    {
      name: 'qos1',
      title: 'CPU per acknowledged message: 500 devices publish 100 bytes with QoS 1, 15,000 a second',
      load: 'qos1',
      contenders: ['haproxy', 'breakwater-epoll', 'breakwater-session', 'breakwater-uring-session'],
      settings: { connections: 500, ratePerSecond: 15_000, ...steady },
    },
    ...tlsPlan(windowMs),
    {
      name: 'wsEcho',
      title:
        'WebSocket: CPU per round trip of 100 bytes, 64 devices. HAProxy (`mode http`) passes frames to a node that speaks WebSocket; Breakwater unmasks and frames, and its node speaks MQTT',
      load: 'wsEcho',
      contenders: ['haproxy-ws', 'breakwater-ws', 'breakwater-ws-node', 'breakwater-ws-session'],
      settings: saturating,
    },
    {
      name: 'wsIdle',
      title: 'WebSocket memory: 8,000 devices that are connected and say nothing',
      load: 'wsIdle',
      contenders: ['haproxy-ws', 'breakwater-ws', 'breakwater-ws-node'],
      settings: { connections: 8000, ratePerSecond: 0, warmUpMs: 0, windowMs: 500 },
    },
  ];
}

function tlsPlan(windowMs: number): readonly Measure[] {
  // The load of TLS is slow, and code that runs a few hundred times a second takes its time to be compiled.
  const warm = { connections: 64, ratePerSecond: 0, warmUpMs: 4000, windowMs: 2 * windowMs };
  return [
    {
      name: 'tlsEcho',
      title: 'TLS 1.3: CPU per round trip of 100 bytes, 64 devices',
      load: 'tlsEcho',
      contenders: TLS,
      settings: warm,
    },
    {
      name: 'tlsConnects',
      title: 'TLS 1.3: CPU per full handshake (P-256), CONNECT and CONNACK included',
      load: 'tlsConnects',
      contenders: TLS,
      settings: { ...warm, connections: 16 },
    },
    {
      name: 'tlsResumes',
      title: 'TLS 1.3: CPU per resumed handshake, CONNECT and CONNACK included',
      load: 'tlsResumes',
      contenders: TLS,
      settings: { ...warm, connections: 16 },
    },
    {
      name: 'tlsIdle',
      title: 'TLS 1.3 memory: 4,000 devices that are connected and say nothing',
      load: 'tlsIdle',
      contenders: TLS,
      settings: { connections: 4000, ratePerSecond: 0, warmUpMs: 0, windowMs: 1000 },
    },
    {
      name: 'threads',
      title:
        'Two threads over one: full handshakes of TLS 1.3 with RSA-8192, of which the load does little: it shares the second core',
      load: 'tlsRate',
      contenders: ['breakwater-1-thread', 'breakwater-2-threads'],
      // Some forty a second: a short window would count too few.
      settings: { ...warm, connections: 24, windowMs: 6 * windowMs },
    },
  ];
}
