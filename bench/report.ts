import { readFileSync } from 'node:fs';
import type { Figured, Measured } from './figures.ts';
import { goalTable } from './goals.ts';
import type { Measure } from './plan.ts';
import { quantile, valuesOf } from './statistics.ts';

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
  cpuUsPerRefusal: 'CPU µs per refusal',
  refusalsPerCpuSecond: 'refusals per CPU second',
  bytesPerConnection: 'resident bytes per connection',
  bytesWithTheFirst: 'with the first ones',
  heapBytesPerConnection: 'heap bytes per connection',
  handshakesPerSecond: 'handshakes per second',
  cpuUsPerHandshake: 'CPU µs per full handshake',
  cpuUsPerResumption: 'CPU µs per resumed handshake',
  cpuUsPerMegabyteOf64kB: 'CPU µs per MB, 64 kB',
  megabytesPerSecondOf64kB: 'MB per second, 64 kB',
  cpuUsPerMegabyteOf1MB: 'CPU µs per MB, 1 MB',
  megabytesPerSecondOf1MB: 'MB per second, 1 MB',
  cpuUsPerDelivery: 'CPU µs per delivery',
  allHaveItMs: 'ms until all have it',
  requestsPerSecond: 'requests per second',
  cpuUsPerRequest: 'CPU µs per request',
};

/** A step of a measure that has several is its own heading. */
function headingOf(figure: string): string | undefined {
  return headings[figure] ?? /^at(\d+)$/.exec(figure)?.[1]?.replace(/\B(?=(\d{3})+$)/g, ',');
}

export function measureTable({ title }: Pick<Measure, 'title'>, measured: Measured | undefined): string {
  if (measured === undefined) return `### ${title}\n\nNot measured.\n`;
  const { samples, troubles } = measured;
  const [first] = Object.values(samples);
  const figures = Object.keys(first?.[0] ?? {}).filter((figure) => headingOf(figure) !== undefined);
  const rows = Object.entries(samples).map(([name, runs]) => {
    const cells = figures.map((figure) => {
      const sorted = valuesOf(runs, figure);
      if (sorted.some(Number.isNaN) || (name === 'direct' && figure.startsWith('cpu'))) return '';
      return `${shown(quantile(sorted, 0.5))} (${shown(sorted[0])}–${shown(sorted.at(-1))})`;
    });
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  return `### ${title}

| | ${figures.map(headingOf).join(' | ')} |
| --- |${' --- |'.repeat(figures.length)}
${rows.join('\n')}

${whenMeasured(measured)}
${troubles.map((trouble) => `\nMissing: ${trouble}.\n`).join('')}`;
}

/** Parts of the page may come from different runs: each says when it was measured, and how quiet it was. */
function whenMeasured({ from, to, commits, samples, disturbed }: Measured): string {
  const counts = Object.values(samples).map((runs) => runs.length);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const rounds = least === most ? `${most}` : `${least} to ${most}`;
  const day = (time: string): string => time.slice(0, 10);
  const clock = (time: string): string => time.slice(11, 16);
  const until = day(from) === day(to) ? clock(to) : `${day(to)} ${clock(to)}`;
  const all = counts.reduce((sum, count) => sum + count, 0);
  const noise =
    disturbed === 0 ? '' : ` ${disturbed} of ${all} samples began while other programs used the machine.`;
  return `Measured ${day(from)} from ${clock(from)} to ${until} UTC at ${commits.join(' and ')}, rounds: ${rounds}.${noise}`;
}

function shown(value = Number.NaN): string {
  return Math.abs(value) < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
}

/** The text of docs/benchmarks.md. */
export function report(measures: readonly Measure[], { machine, measures: measured }: Figured): string {
  const notes = readFileSync('bench/notes.md', 'utf8').trim();
  const results = Object.fromEntries(Object.entries(measured).map(([name, { samples }]) => [name, samples]));
  const versions = machine.flatMap(
    (line) => /(HAProxy|nginx)(?: version |\/)(\S+)/.exec(line)?.slice(1).join(' ') ?? [],
  );
  return `# Benchmarks

Written by \`npm run bench\`. Breakwater is compared with ${versions.join(' and ')}.
One core for the proxy, the other for the load, except where two threads have both; every proxy in turn, each time a new
process; figures are medians. Every table says when it was measured.

## Against HAProxy

Ratios of medians of the same run, by engine.

${goalTable(results)}

## How the cost grows

![CPU per message by the number of connections](images/cost-by-connections.svg)

20,000 messages a second in all, from more and more connections: what one of them costs the proxy.

![CPU per message by the rate](images/cost-by-rate.svg)

500 connections that send more and more: what one message costs the proxy.

${notes}

## The figures

Median (lowest–highest). \`direct\` is the load without a proxy, \`haproxy\` least connections, \`haproxy-mqtt\` its stick
table by client identifier, \`nginx\` its stream module, \`breakwater-uring\`, \`breakwater-epoll\` and
\`breakwater-node\` this program with each engine in relay mode, \`breakwater-session\` and \`breakwater-uring-session\`
in session mode, on epoll and io_uring. Where a name does not say the engine, it is epoll. Nobody logs but errors. How each is
configured is in \`bench/contenders.ts\`.

${measures.map((measure) => measureTable(measure, measured[measure.name])).join('\n')}

## The machine

${machine.map((line) => `- ${line}`).join('\n')}

Absolute figures are this machine's; the ratios are the point.

## Run it

\`\`\`
npm run bench                                     everything, then writes this page
npm run bench -- --continue                       goes on with a run that was cut
npm run bench -- --measures tlsEcho,http --merge  these anew, the others of this page stay
npm run bench -- --page                           writes the page from what was measured so far
npm run bench -- --measures fanIn --only haproxy,breakwater-epoll --rounds 3
npm run bench -- failover                         what devices notice when a broker dies
npm run bench -- storm                            what others notice when one source storms
npm run bench -- upgrade                          what devices notice of an upgrade
\`\`\`

It wants a quiet machine with two cores or more, Linux, HAProxy and nginx with its stream module (Debian:
\`haproxy nginx libnginx-mod-stream\`), openssl and taskset, and about 45 minutes. Every sample is kept in
\`dist/benchmarks.json\` as soon as it is taken (\`--figures FILE\`); \`--json\` prints them all.
`;
}
