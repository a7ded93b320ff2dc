import type { Samples } from './figures.ts';
import { median } from './statistics.ts';

/** What the figures are to be, of each engine for Linux. */

export type Results = Readonly<Record<string, Samples>>;

/** The contenders of one engine. */
interface Ours {
  readonly relay: string;
  readonly session: string;
  readonly tls: string;
  readonly tlsRsa: string;
}

const engines: Readonly<Record<'epoll' | 'uring', Ours>> = {
  epoll: {
    relay: 'breakwater-epoll',
    session: 'breakwater-session',
    tls: 'breakwater-tls',
    tlsRsa: 'breakwater-tls-rsa',
  },
  uring: {
    relay: 'breakwater-uring',
    session: 'breakwater-uring-session',
    tls: 'breakwater-tls-uring',
    tlsRsa: 'breakwater-tls-rsa-uring',
  },
};

interface Goal {
  readonly figure: string;
  readonly atLeast: number;
  readonly aim: number;
  readonly moreIsBetter?: boolean;
  measured(results: Results, ours: Ours): number;
}

/** Ours over theirs, medians of the same run. */
function ratio(
  measure: string,
  figure: string,
  ours: (names: Ours) => string,
  theirs: (names: Ours) => string,
) {
  return (results: Results, names: Ours) =>
    median(results[measure]?.[ours(names)], figure) / median(results[measure]?.[theirs(names)], figure);
}

const relay = ({ relay }: Ours): string => relay;
const session = ({ session }: Ours): string => session;
const tls = ({ tls }: Ours): string => tls;
const haproxy =
  (variant = '') =>
  () =>
    `haproxy${variant}`;

export const goals: readonly Goal[] = [
  {
    ...{ figure: 'CPU per message / HAProxy’s', atLeast: 0.8, aim: 0.65 },
    measured: ratio('fanIn', 'cpuUsPerMessage', relay, haproxy()),
  },
  {
    ...{ figure: 'echo round trips per second / HAProxy’s', atLeast: 1.15, aim: 1.3, moreIsBetter: true },
    measured: ratio('echo', 'tripsPerSecond', relay, haproxy()),
  },
  {
    ...{ figure: 'p50 latency / HAProxy’s', atLeast: 0.75, aim: 0.6 },
    measured: ratio('latency', 'p50Us', relay, haproxy()),
  },
  {
    ...{ figure: 'p99 latency / HAProxy’s', atLeast: 1, aim: 0.8 },
    measured: ratio('latency', 'p99Us', relay, haproxy()),
  },
  {
    figure: 'connects per second / HAProxy’s with its MQTT stick table',
    ...{ atLeast: 1.2, aim: 1.4, moreIsBetter: true },
    measured: ratio('connects', 'connectsPerSecond', relay, haproxy('-mqtt')),
  },
  {
    ...{ figure: 'CPU per message in session mode / HAProxy’s', atLeast: 0.9, aim: 0.75 },
    measured: ratio('fanIn', 'cpuUsPerMessage', session, haproxy()),
  },
  {
    ...{ figure: 'CPU per acknowledged message in session mode / HAProxy’s', atLeast: 1.1, aim: 1 },
    measured: ratio('qos1', 'cpuUsPerMessage', session, haproxy()),
  },
  {
    ...{ figure: 'CPU per megabyte in messages of 64 kB / HAProxy’s', atLeast: 1, aim: 0.8 },
    measured: ratio('bulk', 'cpuUsPerMegabyteOf64kB', relay, haproxy()),
  },
  {
    ...{ figure: 'CPU per message with two threads / with one, at the same rate', atLeast: 1.1, aim: 1.03 },
    measured: ratio(
      ...(['contention', 'cpuUsPerMessage'] as const),
      ({ relay }) => `${relay}-2-threads`,
      ({ relay }) => `${relay}-1-thread`,
    ),
  },
  {
    figure: 'throughput of two threads / one (full handshakes with RSA-8192)',
    ...{ atLeast: 1.6, aim: 1.9, moreIsBetter: true },
    measured: ratio(
      ...(['threads', 'handshakesPerSecond'] as const),
      ({ tls }) => `${tls}-2-threads`,
      ({ tls }) => `${tls}-1-thread`,
    ),
  },
  {
    ...{ figure: 'resident bytes per idle connection / HAProxy’s', atLeast: 0.25, aim: 0.1 },
    measured: ratio('idle', 'bytesPerConnection', relay, haproxy()),
  },
  {
    figure: 'bytes that session mode adds to an idle connection with two subscriptions',
    ...{ atLeast: 1000, aim: 600 },
    measured: ({ subscribed }, { relay }) =>
      relay === engines.epoll.relay
        ? median(subscribed?.['breakwater-weighed-session'], 'heapBytesPerConnection') -
          median(subscribed?.['breakwater-weighed'], 'heapBytesPerConnection')
        : Number.NaN,
  },
  {
    ...{ figure: 'TLS CPU per round trip / HAProxy’s', atLeast: 0.9, aim: 0.75 },
    measured: ratio('tlsEcho', 'cpuUsPerTrip', tls, haproxy('-tls')),
  },
  {
    ...{ figure: 'TLS CPU per full handshake / HAProxy’s', atLeast: 1, aim: 0.85 },
    measured: ratio('tlsHandshakes', 'cpuUsPerHandshake', tls, haproxy('-tls')),
  },
  {
    ...{ figure: 'TLS CPU per resumed handshake / HAProxy’s', atLeast: 1, aim: 0.85 },
    measured: ratio('tlsHandshakes', 'cpuUsPerResumption', tls, haproxy('-tls')),
  },
  {
    ...{ figure: 'TLS CPU per full handshake with RSA-2048 / HAProxy’s', atLeast: 1, aim: 0.85 },
    measured: ratio('tlsRsa', 'cpuUsPerHandshake', ({ tlsRsa }) => tlsRsa, haproxy('-tls-rsa')),
  },
  {
    ...{ figure: 'resident bytes per idle connection by TLS', atLeast: 1500, aim: 1200 },
    measured: ({ tlsIdle }, { tls }) => median(tlsIdle?.[tls], 'bytesPerConnection'),
  },
  {
    ...{ figure: 'CPU per refusal / HAProxy’s', atLeast: 1, aim: 0.8 },
    measured: ratio('refusals', 'cpuUsPerRefusal', ({ relay }) => `${relay}-deny`, haproxy('-deny')),
  },
];

/** What a figure comes to: empty where it was not measured. */
export function verdict(goal: Pick<Goal, 'atLeast' | 'aim' | 'moreIsBetter'>, value: number): string {
  if (Number.isNaN(value)) return '';
  const shown = value.toFixed(2);
  const reaches = (bound: number): boolean => (goal.moreIsBetter ? value >= bound : value <= bound);
  if (reaches(goal.aim)) return `${shown} aim met`;
  return reaches(goal.atLeast) ? `${shown} met` : `**${shown} not met**`;
}

export function goalTable(results: Results): string {
  const names = Object.entries(engines);
  const rows = goals.map((goal) => {
    const cells = names.map(([, ours]) => verdict(goal, goal.measured(results, ours)));
    return `| ${goal.figure} | ${goal.atLeast} | ${goal.aim} | ${cells.join(' | ')} |`;
  });
  return [
    `| figure | at least | aim | ${names.map(([name]) => name).join(' | ')} |`,
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}
