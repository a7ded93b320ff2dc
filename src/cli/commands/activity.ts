import type { BreakwaterEvent } from '../../admin/backend.ts';

/** Up to so many devices that come or go within a second get a line each; more share one line. */
const ONE_BY_ONE = 5;

/**
 * What happened in about a second, in lines that a person can follow: few devices one line each, many in one line.
 * Each event of a node has its line.
 */
export function tellActivity(events: readonly BreakwaterEvent[]): string[] {
  const nodeLines = events.filter(({ type }) => type.startsWith('node-')).map(tellNode);
  const deviceEvents = events.filter(({ type }) => type in deviceWords);
  if (deviceEvents.length <= ONE_BY_ONE) return [...nodeLines, ...deviceEvents.map(tellDevice)];

  const counts = (Object.keys(deviceWords) as (keyof typeof deviceWords)[])
    .map((type) => [type, deviceEvents.filter((event) => event.type === type)] as const)
    .filter(([, group]) => group.length > 0)
    .map(([type, group]) => `${group.length} ${deviceWords[type]}${byNode(group)}`);
  return [...nodeLines, `devices: ${counts.join(', ')}`];
}

const deviceWords = {
  placed: 'connected',
  reattached: 'moved',
  ended: 'ended',
  rejected: 'rejected',
} as const;

function tellDevice(event: BreakwaterEvent): string {
  const id = event.clientId || event.remoteAddress; // the client id may be empty [MQTT-3.1.3-6]
  switch (event.type) {
    case 'placed':
      return `device ${id} → ${event.node}`;
    case 'reattached':
      return `device ${id} moved ${event.from} → ${event.to ?? 'nowhere'}${because(event)}`;
    case 'ended':
      return `device ${id} ended at ${event.node ?? 'no node'}${because(event)}`;
    default:
      return `device ${id} rejected${because(event)}`;
  }
}

function tellNode(event: BreakwaterEvent): string {
  const what = event.health ?? event.state ?? event.type.slice('node-'.length);
  return `node ${event.node ?? event.id} ${what}${because(event)}`;
}

function because(event: BreakwaterEvent): string {
  const why = event.cause ?? event.reason;
  return why === undefined ? '' : ` (${why})`;
}

/** ` (broker-1 34, broker-2 33)` */
function byNode(events: readonly BreakwaterEvent[]): string {
  const counts = new Map<string, number>();
  for (const { type, to, node: at } of events) {
    const node = type === 'reattached' ? to : at;
    if (typeof node === 'string') counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  if (counts.size === 0) return '';
  return ` (${[...counts]
    .sort()
    .map(([node, count]) => `${node} ${count}`)
    .join(', ')})`;
}
