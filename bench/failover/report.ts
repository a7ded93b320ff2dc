import { origin } from '../machine.ts';
import type { AckTimes } from './ledger.ts';
import type { Play, Report } from './performance.ts';

/** One performance and what devices saw of it. */
export interface Scene {
  readonly play: Play;
  readonly report: Report;
}

const headings = [
  'fault',
  'brokers',
  'front',
  'devices at the node',
  'device disconnects',
  'acknowledged QoS 1 lost',
  'acknowledged QoS 2 lost',
  'of these, published after the fault',
  'QoS 1 twice',
  'QoS 2 twice',
  'Wills fired',
  'moved / not moved',
  're-attach p50 / p99 / max ms',
  'last device back after ms',
  'others’ acknowledgement before, p50 / p99 ms',
  'meanwhile, p50 / p99 ms',
  'slowest acknowledgement ms',
];

function row({ play, report }: Scene): string {
  const { moves, lost, lostLater, duplicates, awayMs } = report;
  const affected = moves === undefined ? report.disconnects : report.affected;
  const cells = [
    ...[play.fault, play.clean ? `${play.brokers}, clean sessions` : play.brokers],
    play.front === 'haproxy' ? 'haproxy' : `breakwater, ${play.engine}`,
    ...[affected, report.disconnects, lost.qos1, lost.qos2, lostLater.qos1 + lostLater.qos2],
    ...[duplicates.qos1, duplicates.qos2, report.wills.length],
    moves === undefined ? '' : `${moves.moved} / ${moves.failed}`,
    moves === undefined
      ? `away ${awayMs.p50} / – / ${awayMs.max}`
      : `${moves.p50Ms} / ${moves.p99Ms} / ${moves.maxMs}`,
    lastAfterMs({ play, report }),
    ...[times(report.others?.before), times(report.others?.during), report.slowestAckMs],
  ];
  return `| ${cells.join(' | ')} |`;
}

function times(ack: AckTimes | undefined): string {
  return ack === undefined ? '' : `${ack.p50} / ${ack.p99}`;
}

/** Of several runs the one in the middle, by the time at which the last device was back; of what went wrong, the most. */
function middle(scenes: readonly Scene[]): Scene {
  const ranked = scenes.toSorted((a, b) => lastAfterMs(a) - lastAfterMs(b));
  const { play, report } = ranked[Math.floor((ranked.length - 1) / 2)] as Scene;
  const most = (of: (report: Report) => number) => Math.max(...scenes.map((scene) => of(scene.report)));
  const lost = { qos1: most((each) => each.lost.qos1), qos2: most((each) => each.lost.qos2) };
  return { play, report: { ...report, lost, disconnects: most((each) => each.disconnects) } };
}

const lastAfterMs = ({ report }: Scene): number => report.moves?.lastAfterMs ?? report.awayMs.max;

/** The text of docs/failover.md. @param load of the machine before it began: processes that wanted to run */
export function failoverPage(scenes: readonly Scene[], load: number): string {
  const [first] = scenes;
  const plays = [...new Set(scenes.map(({ play }) => play))];
  const rows = plays.map((each) => middle(scenes.filter(({ play }) => play === each)));
  const runs = scenes.length / Math.max(1, plays.length);
  const { devices, rate } = first?.play ?? { devices: 0, rate: 0 };
  return `# What devices notice when a broker dies

Written by \`npm run bench -- failover\` on ${new Date().toISOString().slice(0, 10)}; do not edit. Real processes: three
brokers, one proxy, ${devices.toLocaleString('en')} devices that each publish on a topic of their own and subscribe to one, with QoS 0, 1
and 2 in equal parts, ${rate.toLocaleString('en')} messages a second together. One broker of three is ended by SIGKILL.

\`aedes\`: embedded brokers that share sessions over Redis, MQTT 3.1.1 (it knows no MQTT 5); a device receives what another
publishes. \`mosquitto\`: brokers that share nothing, MQTT 3.1.1 and 5 mixed; a device receives what it publishes itself,
since brokers that share nothing bring it nothing else. There, what the dead broker had acknowledged and not delivered is
gone with it ([what is kept and what is lost](session-mode.md#what-is-kept-and-what-is-lost)). Behind \`haproxy\` (\`mode tcp\`, a
check each second) the devices are disconnected; each comes back by itself after a second, and how long it was away is told.

| ${headings.join(' | ')} |
|${' --- |'.repeat(headings.length)}
${rows.map(row).join('\n')}

Times are those of the run in the middle of ${runs}, by the last device; disconnects and losses those of the worst. The last columns
are of the devices whose node lived: in the seconds before, and from the fault until the last device was back.

- ${load.toFixed(1)} processes wanted the cores before it began, on average over a minute; there should be none
${origin()}
`;
}

const hangHeadings = [
  'stopped for s',
  'front',
  'device disconnects',
  'away p50 / max ms',
  'Wills fired',
  'acknowledged QoS 1 lost',
  'acknowledged QoS 2 lost',
  'QoS 1 twice',
  'QoS 2 twice',
  'out of order',
  'moved / not moved',
  'slowest acknowledgement ms',
];

function hangRow({ play, report }: Scene): string {
  const { lost, duplicates, outOfOrder, moves, awayMs } = report;
  const cells = [
    ...[play.hangMs / 1000, play.front === 'breakwater' ? `breakwater, ${play.engine}` : play.front],
    ...[report.disconnects, `${awayMs.p50} / ${awayMs.max}`, report.wills.length],
    ...[lost.qos1, lost.qos2, duplicates.qos1, duplicates.qos2],
    outOfOrder.qos0 + outOfOrder.qos1 + outOfOrder.qos2,
    moves === undefined ? '' : `${moves.moved} / ${moves.failed}`,
    report.slowestAckMs,
  ];
  return `| ${cells.join(' | ')} |`;
}

/** The text of docs/hangs.md. */
export function hangPage(scenes: readonly Scene[]): string {
  const [first] = scenes;
  const { devices, rate } = first?.play ?? { devices: 0, rate: 0 };
  return `# What devices notice when a node hangs

Written by \`npm run bench -- failover --hangs\` on ${new Date().toISOString().slice(0, 10)}; do not edit. Three nodes of a stand-in for
an EMQX cluster (\`bench/failover/emqx/\`: its lock of a client id, its waits of 30 and 10 s, its refusals and Wills, as seen
at EMQX 5.3.2; it is not EMQX), ${devices} devices, a third of them at each node, MQTT 3.1.1 and 5 mixed, ${rate} messages a second
together with QoS 0, 1 and 2. One node is stopped by SIGSTOP and goes on. A device gives a connection up whose PINGREQ is not
answered for 30 s, and comes back after a second. Why it goes as it goes:
[when a node hangs](session-mode.md#when-a-node-hangs).

| ${hangHeadings.join(' | ')} |
|${' --- |'.repeat(hangHeadings.length)}
${scenes.map(hangRow).join('\n')}

${origin()}
`;
}
