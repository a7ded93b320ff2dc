import { origin } from '../machine.ts';
import type { ReloadReport } from './reloads.ts';
import type { Generation, Quantiles, UpgradeReport } from './upgrades.ts';

const headings = [
  'generation',
  'upgrade took s',
  'went over',
  'stayed with the old process',
  'disconnects so far',
  'pause of a device p50 / p99 / max ms',
  'descriptors',
  'resident MiB',
  'processes',
  'the others, MiB',
];

const times = ({ p50, p99, max }: Quantiles): string => `${p50} / ${p99} / ${max}`;
const number = (value: number): string => value.toLocaleString('en');

function row(each: Generation, isFirst: boolean): string {
  const cells = [
    ...[each.generation, isFirst ? '' : each.seconds.toFixed(1)],
    ...(isFirst ? ['', ''] : [number(each.connections), number(each.left)]),
    ...[each.disconnects, isFirst ? '' : times(each.pauseMs)],
    ...[number(each.descriptors), each.residentMib, each.processes, Math.round(each.othersMib)],
  ];
  return `| ${cells.join(' | ')} |`;
}

/** The text of docs/upgrade-figures.md. @param load of the machine before it began: processes that wanted to run */
export function upgradePage(ours: UpgradeReport, theirs: ReloadReport | undefined, load: number): string {
  const { play, before, generations, figures, visits, disconnected } = ours;
  const { lost, duplicates } = figures;
  const kinds = [...disconnected].map(([name, count]) => `${name}: ${count}`).join('; ');
  return `# What devices notice of an upgrade

Written by \`npm run bench -- upgrade\` on ${new Date().toISOString().slice(0, 10)}; do not edit. Real processes: three mosquitto, one
proxy, and ${number(play.devices)} devices in equal parts by \`mqtt\`, \`mqtts\` (TLS 1.2 and 1.3), \`ws\` and \`wss\` (1.2 and 1.3), at listeners of the
modes \`session\` and \`relay\`, MQTT 3.1.1 and 5, QoS 0, 1 and 2. Each publishes on a topic of its own and receives what it publishes,
${number(play.rate)} numbered messages a second together. \`breakwater upgrade\` ${play.upgrades} times in a row.

| ${['upgrades', 'device disconnects', 'acknowledged QoS 1 lost', 'QoS 2 lost', 'QoS 1 twice', 'QoS 2 twice', 'pause of a device p50 / p99 / max ms', 'without an upgrade'].join(' | ')} |
|${' --- |'.repeat(8)}
| ${[play.upgrades, figures.disconnects + ours.watchedDisconnects, lost.qos1, lost.qos2, duplicates.qos1, duplicates.qos2, times(ours.pauseMs), times(ours.quietMs)].join(' | ')} |

The pause is the longest round trip through proxy and broker of a device that sends ${play.everyMs} ms after each answer, from the command
until ${'`breakwater upgrade`'} is through, for ${play.watched} devices besides (${ours.watchedLost} of their messages of QoS 0 were lost); without an
upgrade, the longest in a time of ${play.settleMs / 1000} s. Meanwhile ${number(visits.count)} devices connected anew: ${visits.refused.length} were refused, CONNACK
came after ${times(visits)} ms.${kinds === '' ? '' : ` Disconnected were: ${kinds}.`}

| ${headings.join(' | ')} |
|${' --- |'.repeat(headings.length)}
${[before, ...generations].map((each, index) => row(each, index === 0)).join('\n')}

Descriptors and memory are those of the process that is the proxy, ${play.settleMs / 1000} s behind the upgrade. Of the others one is the process that was
started first, which stays as a parent with nothing to do ([why](upgrade.md#processes)).

${theirs === undefined ? '' : besideHaproxy(theirs)}
- ${load.toFixed(1)} processes wanted the cores before it began, on average over a minute; there should be none
${origin()}
`;
}

function besideHaproxy(report: ReloadReport): string {
  const { play, reloads, processes, residentMib, disconnectsBefore, processesAfter, figures, visits } =
    report;
  const { awayMs } = figures;
  return `## HAProxy

\`haproxy -x SOCKET -sf PIDS\` with \`expose-fd listeners\`, ${reloads} times in a row, ${number(play.devices)} devices by \`mqtt\` and \`mqtts\`: the new process gets
the listening sockets, and connections stay with the old one until they end or \`hard-stop-after\` is over, here ${play.hardStopS} s.
Without that setting old processes stay as long as their devices do, with the old configuration and the old program.

| processes behind the reloads | resident MiB together | disconnects until then | processes when \`hard-stop-after\` is over | device disconnects | all within ms | away p50 / max ms | newcomers refused |
|${' --- |'.repeat(8)}
| ${[processes, residentMib, disconnectsBefore, processesAfter, figures.disconnects, report.cutWithinMs, `${awayMs.p50} / ${awayMs.max}`, `${visits.refused.length} of ${number(visits.count)}`].join(' | ')} |

`;
}
