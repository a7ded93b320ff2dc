import { expect, test } from 'vitest';
import type { BreakwaterEvent, RebalanceView } from '../../../../src/admin/backend.ts';
import { eventTable } from '../../../../src/cli/documents/events.ts';
import type { WorkerEvent } from '../../../../src/data-plane-api/messages.ts';
import {
  proxyRebalanceEvent,
  rebalanceEvent,
  tellDeparture,
  tellDrain,
  tellProxyState,
} from '../../../../src/migration/move-events.ts';
import { NodeTable } from '../../../../src/nodes/table.ts';
import { auditEvent } from '../../../../src/proxy/audit-event.ts';
import { createConnectionEvents } from '../../../../src/proxy/connection-events.ts';
import { watchNodes } from '../../../../src/proxy/node-events.ts';

const nothing: unknown = new Proxy(() => undefined, { get: () => nothing, apply: () => undefined });

const device = { clientId: 'dev', connection: 1, node: 'a', listener: 0, remoteAddress: '192.0.2.1:1' };
const migration = {
  cause: 'link-lost',
  evidence: 'refused',
  from: 'a',
  to: 'b',
  durationMs: 1,
  atMs: 1,
} as const;
const ofWorkers: readonly WorkerEvent[] = [
  { type: 'placed', ...device, protocolVersion: 5 },
  { type: 'ended', ...device, reason: 'kicked', durationMs: 1, bytesFromDevice: 1, bytesToDevice: 1 },
  { type: 'rejected', reason: 'banned', clientId: 'dev', listener: 0, remoteAddress: '' },
  { type: 'dial-failed', node: 'a', failure: 'refused', detail: '' },
  {
    type: 'reattached',
    clientId: 'dev',
    connection: 1,
    remoteAddress: '',
    reattachment: { ...migration, sessionPresent: true },
    connackMs: 1,
  },
];

/** Told where the parts of a proxy are put together. */
const toldElsewhere = [
  ...[
    'node-drained',
    'node-lost',
    'panic',
    'proxy-lost',
    'refusals',
    'reload',
    'upgrade',
    'certificate',
    'store',
    'thread',
    'incident',
    'banned',
    'unbanned',
  ],
];

/** Every other event that the parts of a proxy tell. */
function told(): BreakwaterEvent[] {
  const events: BreakwaterEvent[] = [];
  const emit = (event: BreakwaterEvent): void => void events.push(event);
  const options = { listenerUrl: () => '', emit } as Record<string, unknown>;
  const receive = createConnectionEvents(
    new Proxy(options, { get: (own, name: string) => own[name] ?? nothing }) as never,
  );
  receive(ofWorkers, 0);

  const nodes = new NodeTable();
  watchNodes(nodes, nothing as never, emit);
  const node = nodes.put({
    id: 'a',
    pool: 'p',
    url: 'mqtt://a',
    weight: 1,
    maxConnections: 0,
    source: 'api',
  });
  nodes.setState('a', 'draining');
  nodes.setHealth('a', 'unhealthy', 'tcp probe failed');
  nodes.remove('a');
  const progress = { state: 'moving', moved: 1, failed: 0, left: 1, stays: 0, rate: 1, pace: 1 } as const;
  tellDrain(nothing as never, emit, node, progress);
  events.push(rebalanceEvent({ ...progress, pools: ['p'], tolerance: 0, spread: 0 } as RebalanceView));
  events.push(proxyRebalanceEvent({ ...progress, proxies: ['p'], tolerance: 0, spread: 0 }));
  tellDeparture(nothing as never, emit, 'p', progress);
  tellProxyState({ info: nothing } as never, emit, 'p', true);
  const asked = { method: 'PATCH', path: '/', status: 200, by: 'ops', role: 'operator', remoteAddress: '' };
  const about = { node: 'a', client: 'dev', change: '{}', code: 'FORBIDDEN' };
  events.push(auditEvent({ ...asked, ...about, isDenied: false }, ''));
  events.push(auditEvent({ ...asked, ...about, change: undefined, isDenied: true }, ''));
  return events;
}

test('the table of events names the fields that each has', () => {
  const rows = [...eventTable().matchAll(/^\| `([\w-]+)` \| .* \| (.*) \|$/gm)].map(
    ([, type = '', fields = '']) =>
      [type, [...fields.matchAll(/`(\w+)`/g)].map(([, field]) => field)] as const,
  );
  const events = told();
  const all = [...events.map(({ type }) => type), ...toldElsewhere];
  expect(rows.map(([type]) => type).sort()).toEqual(all.sort());
  for (const { type, at: _at, change, ...rest } of events) {
    const fields = { ...rest, ...(change !== undefined && { change }) };
    const [, named] = rows.find(([name]) => name === type) ?? [];
    expect([type, ...Object.keys(fields).sort()]).toEqual([type, ...[...(named ?? [])].sort()]);
  }
});
