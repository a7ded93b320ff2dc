import { readFileSync } from 'node:fs';
import type { Figures } from './load/measures.ts';
import { machine } from './machine.ts';
import type { Measure } from './plan.ts';

/** What was measured, by contender, one entry a round. */
export type Samples = Readonly<Record<string, readonly Figures[]>>;
export type Results = Readonly<Record<string, Samples>>;

export function median(runs: readonly Figures[] | undefined, figure: string): number {
  return quantile(valuesOf(runs, figure), 0.5);
}

function valuesOf(runs: readonly Figures[] | undefined, figure: string): number[] {
  return (runs ?? []).map((run) => run[figure] as number).sort((a, b) => a - b);
}

function quantile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] as number;
  return low + ((sorted[Math.ceil(at)] as number) - low) * (at % 1);
}

interface Goal {
  readonly figure: string;
  readonly atLeast: number;
  readonly aim: number;
  readonly moreIsBetter?: boolean;
  measured(results: Results): number;
}

/** Ours over theirs, medians of the same run. */
function ratio(measure: string, figure: string, ours: string, theirs: string) {
  return (results: Results) =>
    median(results[measure]?.[ours], figure) / median(results[measure]?.[theirs], figure);
}

const OURS = 'breakwater-epoll';
const SESSION = 'breakwater-session';
const goals: readonly Goal[] = [
  {
    figure: 'CPU per message / HAProxy’s',
    atLeast: 0.95,
    aim: 0.8,
    measured: ratio('fanIn', 'cpuUsPerMessage', OURS, 'haproxy'),
  },
  {
    figure: 'echo round trips per second / HAProxy’s',
    atLeast: 1,
    aim: 1.25,
    moreIsBetter: true,
    measured: ratio('echo', 'tripsPerSecond', OURS, 'haproxy'),
  },
  {
    figure: 'p50 latency / HAProxy’s',
    atLeast: 0.9,
    aim: 0.7,
    measured: ratio('latency', 'p50Us', OURS, 'haproxy'),
  },
  {
    figure: 'connects per second / HAProxy’s with its MQTT stick table',
    atLeast: 1,
    aim: 1.2,
    moreIsBetter: true,
    measured: ratio('connects', 'connectsPerSecond', OURS, 'haproxy-mqtt'),
  },
  {
    figure: 'resident bytes per idle connection / HAProxy’s',
    atLeast: 0.5,
    aim: 0.1,
    measured: ratio('idle', 'bytesPerConnection', OURS, 'haproxy'),
  },
  {
    figure: 'TLS CPU per round trip / HAProxy’s',
    atLeast: 1,
    aim: 0.85,
    measured: ratio('tlsEcho', 'cpuUsPerTrip', 'breakwater-tls', 'haproxy-tls'),
  },
  {
    figure: 'TLS CPU per full handshake / HAProxy’s',
    atLeast: 1,
    aim: 0.85,
    measured: ratio('tlsConnects', 'cpuUsPerHandshake', 'breakwater-tls', 'haproxy-tls'),
  },
  {
    figure: 'resident bytes per idle connection by TLS',
    atLeast: 1500,
    aim: 1200,
    measured: ({ tlsIdle }) => median(tlsIdle?.['breakwater-tls'], 'bytesPerConnection'),
  },
  {
    figure: 'CPU per message in session mode / in relay mode',
    atLeast: 1.15,
    aim: 1.05,
    measured: ratio('fanIn', 'cpuUsPerMessage', SESSION, OURS),
  },
  {
    figure: 'CPU per acknowledged message in session mode / in relay mode',
    atLeast: 1.4,
    aim: 1.15,
    measured: ratio('qos1', 'cpuUsPerMessage', SESSION, OURS),
  },
  {
    figure: 'bytes that session mode adds to an idle connection with two subscriptions',
    atLeast: 1000,
    aim: 600,
    measured: ({ subscribed }) =>
      median(subscribed?.['breakwater-weighed-session'], 'heapBytesPerConnection') -
      median(subscribed?.['breakwater-weighed'], 'heapBytesPerConnection'),
  },
  {
    figure: 'throughput of two threads / one (full handshakes with RSA-8192)',
    atLeast: 1.6,
    aim: 1.9,
    moreIsBetter: true,
    measured: ratio('threads', 'handshakesPerSecond', 'breakwater-2-threads', 'breakwater-1-thread'),
  },
];

function verdict(goal: Goal, value: number): string {
  const reaches = (bound: number): boolean => (goal.moreIsBetter ? value >= bound : value <= bound);
  if (Number.isNaN(value)) return 'not measured';
  if (reaches(goal.aim)) return 'aim met';
  return reaches(goal.atLeast) ? 'met' : '**not met**';
}

function goalTable(results: Results): string {
  const rows = goals.map((goal) => {
    const value = goal.measured(results);
    const shown = Number.isNaN(value) ? '' : value.toFixed(2);
    return `| ${goal.figure} | ${goal.atLeast} | ${goal.aim} | ${shown} | ${verdict(goal, value)} |`;
  });
  return ['| figure | at least | aim | measured | |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

/** Columns by the keys of the figures. */
const headings: Readonly<Record<string, string>> = {
  cpuUsPerMessage: 'CPU µs per message',
  messagesPerSecond: 'messages per second',
  tripsPerSecond: 'round trips per second',
  cpuUsPerTrip: 'CPU µs per round trip',
  p50Us: 'p50 µs',
  p99Us: 'p99 µs',
  p999Us: 'p999 µs',
  connectsPerSecond: 'connects per second',
  cpuUsPerConnect: 'CPU µs per connect',
  failed: 'failed',
  bytesPerConnection: 'resident bytes per connection',
  heapBytesPerConnection: 'heap bytes per connection',
  handshakesPerSecond: 'handshakes per second',
  cpuUsPerHandshake: 'CPU µs per handshake',
};

function measureTable({ title }: Measure, samples: Samples): string {
  const [first] = Object.values(samples);
  const figures = Object.keys(first?.[0] ?? {}).filter((figure) => figure in headings);
  const rows = Object.entries(samples).map(([name, runs]) => {
    const cells = figures.map((figure) => {
      const sorted = valuesOf(runs, figure);
      if (sorted.some(Number.isNaN) || (name === 'direct' && figure.startsWith('cpu'))) return '';
      return `${shown(quantile(sorted, 0.5))} (${shown(sorted[0])}–${shown(sorted.at(-1))})`;
    });
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  return `### ${title}

| | ${figures.map((figure) => headings[figure]).join(' | ')} |
| --- |${' --- |'.repeat(figures.length)}
${rows.join('\n')}
`;
}

function shown(value = Number.NaN): string {
  return Math.abs(value) < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
}

/** The text of docs/benchmarks.md. */
export function report(
  measures: readonly Measure[],
  results: Results,
  skipped: readonly string[],
  rounds: number,
): string {
  const notes = readFileSync('bench/notes.md', 'utf8').trim();
  return `# Benchmarks

Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}. One core for the proxy, the other for the
load, except that two threads have both; every proxy in turn, each time a new process, ${rounds} rounds; figures are medians.

## Against HAProxy

${goalTable(results)}

${notes}

## The figures

Median (lowest–highest). \`direct\` is the load without a proxy, \`haproxy\` least connections, \`haproxy-mqtt\` its stick
table by client identifier, \`nginx\` its stream module, \`breakwater-uring\`, \`breakwater-epoll\` and
\`breakwater-node\` this program with each engine in relay mode, \`breakwater-session\` and \`breakwater-uring-session\`
in session mode, on epoll and io_uring.

${measures.map((measure) => measureTable(measure, results[measure.name] ?? {})).join('\n')}
${skipped.map((line) => `Skipped: ${line}\n`).join('\n')}
## The machine

${machine()
  .map((line) => `- ${line}`)
  .join('\n')}

Absolute figures are this machine's; the ratios are the point.

## Run it

\`\`\`
npm run bench                                     everything, then writes this page
npm run bench -- --rounds 3 --measures fanIn,echo --only haproxy,breakwater-epoll
npm run bench -- failover                         what devices notice when a broker dies
npm run bench -- storm                            what others notice when one source storms
npm run bench -- upgrade                          what devices notice of an upgrade
\`\`\`

It wants a quiet machine with two cores or more, Linux, HAProxy and nginx with its stream module (Debian:
\`haproxy nginx libnginx-mod-stream\`), openssl and taskset. \`--out FILE\` writes a partial run to a file,
\`--json\` prints every sample.
`;
}
