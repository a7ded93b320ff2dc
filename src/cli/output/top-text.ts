import type { NodeView, PoolView, StatusView } from '../../admin/backend.ts';
import type { IncidentView } from '../../admin/journal-views.ts';
import { printable } from '../../base/printable.ts';
import { findingsOf } from '../findings.ts';
import { type Colour, type Column, formatTable } from './table.ts';

/** What `breakwater top` shows, as text: made of one look at the proxy and the one before. */

export interface TopLook {
  readonly atMs: number;
  readonly status: StatusView;
  readonly nodes: readonly NodeView[];
  readonly pools: readonly PoolView[];
  readonly incidents: readonly IncidentView[];
  /** Packets since the start, of session mode; absent where the metrics were not to be had. */
  readonly messages?: Messages | undefined;
}

export interface Messages {
  readonly fromDevices: number;
  readonly toDevices: number;
}

interface TopScreen {
  /** Rows and columns; absent: no terminal, all of it is shown. */
  readonly size?: { readonly rows: number; readonly columns: number } | undefined;
  /** Id of the node that keys are for. */
  readonly selected?: string | undefined;
  /** The last line: a question, what came of a key, or what is wrong; may be empty. */
  readonly prompt: string;
  readonly colour: boolean;
}

const MAX_FINDINGS = 3;
const MAX_INCIDENTS = 5;
/** Below this a terminal has no room for anything but nodes. */
const MIN_NODE_ROWS = 3;

/** The nodes in the order in which they are shown: what needs attention first. */
export function topOrder(nodes: readonly NodeView[]): readonly NodeView[] {
  const rank = ({ state, health }: NodeView): number => {
    if (state === 'enabled' && health === 'unhealthy') return 0;
    if (state === 'draining') return 1;
    return state === 'disabled' ? 3 : 2;
  };
  return [...nodes].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
}

export function topText(now: TopLook, before: TopLook | undefined, screen: TopScreen): string {
  const findings = findingsOf(now, now.atMs);
  const wrong = findings
    .slice(0, MAX_FINDINGS)
    .flatMap(({ what, help }) => [printable(`! ${what}`), printable(`    ${help}`)]);
  if (findings.length > MAX_FINDINGS)
    wrong.push(`! and ${findings.length - MAX_FINDINGS} more: breakwater status`);
  const happened = now.incidents
    .slice(0, MAX_INCIDENTS)
    .map(({ from, to, summary }) => printable(`${timeOf(from)}  ${to === undefined ? '… ' : ''}${summary}`));
  const head = [...headLines(now, before), ...(wrong.length > 0 ? ['', ...wrong] : [])];
  const foot = [
    ...(happened.length > 0 ? ['', ...happened] : []),
    ...(screen.prompt === '' ? [] : ['', screen.prompt]),
  ];
  const [titles = '', ...rows] = nodeTable(now, before, screen).split('\n');
  const room = screen.size ? screen.size.rows - 1 - head.length - foot.length - 2 : rows.length;
  const shown = windowOf(rows, topOrder(now.nodes), screen.selected, Math.max(MIN_NODE_ROWS, room));
  return [...head, '', titles, ...shown, ...foot].join('\n');
}

function headLines({ status, atMs, messages }: TopLook, before: TopLook | undefined): string[] {
  const { proxy, store, nodes } = status;
  const ready = status.ready ? 'ready' : 'NOT READY';
  const rate = (of: (look: TopLook) => number | undefined, now: number | undefined) =>
    rateText(now, before && of(before), atMs - (before?.atMs ?? atMs));
  const rates = [
    `connects ${rate((look) => look.status.connectionsTotal, status.connectionsTotal)}`,
    `refused ${rate((look) => look.status.rejectedTotal, status.rejectedTotal)}`,
    `packets in ${rate((look) => look.messages?.fromDevices, messages?.fromDevices)}`,
    `out ${rate((look) => look.messages?.toDevices, messages?.toDevices)}`,
  ];
  return [
    `${new Date(atMs).toISOString().slice(0, 19)}Z  cluster ${status.cluster}  proxy ${proxy.id} ${ready}  store ${store.kind} ${store.up ? 'up' : 'AWAY'}`,
    `nodes ${nodes.healthy} of ${nodes.total} healthy  devices ${status.connections}  ${rates.join('  ')}`,
  ].map(printable);
}

interface NodeRow extends NodeView {
  readonly isSelected: boolean;
  readonly share: string;
  readonly connects: string;
}

const colours: Readonly<Record<NodeView['health'], Colour | undefined>> = {
  healthy: undefined,
  unhealthy: 'red',
  unknown: 'yellow',
};

const columns: readonly Column<NodeRow>[] = [
  { title: ' ', value: ({ isSelected }) => (isSelected ? '>' : ' ') },
  { title: 'NODE', value: ({ id }) => id, cut: true },
  { title: 'POOL', value: ({ pool }) => pool, cut: true },
  {
    title: 'STATE',
    value: ({ state }) => state,
    colour: ({ state }) => (state === 'enabled' ? undefined : 'yellow'),
  },
  { title: 'HEALTH', value: ({ health }) => health, colour: ({ health }) => colours[health] },
  { title: 'WEIGHT', value: ({ weight }) => weight, align: 'right' },
  { title: 'DEVICES', value: ({ connections }) => connections, align: 'right' },
  { title: 'OF SHARE', value: ({ share }) => share, align: 'right' },
  { title: 'CONNECTS', value: ({ connects }) => connects, align: 'right' },
  {
    title: 'CAUSE',
    value: ({ health, healthCause = '' }) => (health === 'unhealthy' ? healthCause : ''),
    cut: true,
  },
];

function nodeTable(now: TopLook, before: TopLook | undefined, { size, selected, colour }: TopScreen): string {
  const former = new Map(before?.nodes.map(({ id, connectsTotal }) => [id, connectsTotal]));
  const rows = topOrder(now.nodes).map((node) => ({
    ...node,
    isSelected: node.id === selected,
    share: shareText(node, now.nodes),
    connects: rateText(node.connectsTotal, former.get(node.id), now.atMs - (before?.atMs ?? now.atMs)),
  }));
  return formatTable(columns, rows, colour, size?.columns);
}

/** Devices of a node in parts of what it had, were those of its pool shared out by weight; nodes that take none have no share. */
function shareText({ id, pool, state, weight, connections }: NodeView, nodes: readonly NodeView[]): string {
  if (state !== 'enabled') return '';
  const takers = nodes.filter((node) => node.pool === pool && (node.state === 'enabled' || node.id === id));
  const total = takers.reduce((sum, node) => sum + node.connections, 0);
  const weights = takers.reduce((sum, node) => sum + node.weight, 0);
  const fair = (total * weight) / weights;
  return fair === 0 ? '' : `${Math.round((100 * connections) / fair)}%`;
}

/** `12.3/s`; nothing before there are two looks, and where the counter began anew. */
function rateText(now: number | undefined, before: number | undefined, ms: number): string {
  if (now === undefined || before === undefined || ms <= 0 || now < before) return '-';
  const rate = ((now - before) * 1000) / ms;
  return `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`;
}

/** As many rows as there is room for, the selected one among them. */
function windowOf(
  rows: readonly string[],
  nodes: readonly NodeView[],
  selected: string | undefined,
  room: number,
): readonly string[] {
  if (rows.length <= room) return rows;
  const at = Math.max(
    0,
    nodes.findIndex(({ id }) => id === selected),
  );
  const from = Math.max(0, Math.min(at - Math.floor(room / 2), rows.length - room));
  return rows.slice(from, from + room);
}

function timeOf(at: string): string {
  return at.slice(11, 19);
}

/** The sums of `breakwater_messages_total` by direction. */
export function readMessages(metrics: string): Messages {
  let fromDevices = 0;
  let toDevices = 0;
  for (const [, direction, count] of metrics.matchAll(
    /^breakwater_messages_total\{[^}]*direction="(\w+)"[^}]*\} (\d+)/gm,
  )) {
    if (direction === 'from_device') fromDevices += Number(count);
    else toDevices += Number(count);
  }
  return { fromDevices, toDevices };
}
