import type { BreakwaterEvent, ClientDetail, ProxyView } from '../../src/admin/backend.ts';
import type { IncidentView } from '../../src/admin/journal-views.ts';
import { createMemoryBackend, type MemoryBackend, memoryClient, memoryNode } from './memory-backend.ts';

/** A cluster at three in the morning: one node is lost, another one drains, and a third has more than its share. */

const ago = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString();

export function threeInTheMorning(): MemoryBackend {
  const well = { healthCause: 'mqtt probe succeeded', healthSince: ago(86_400 * 3) };
  const nodes = [
    memoryNode('emqx-1', { ...well, connections: 4210, url: 'mqtt://10.0.3.11:1883' }),
    memoryNode('emqx-2', {
      ...{ health: 'unhealthy', connections: 0, url: 'mqtt://10.0.3.12:1883' },
      ...{ healthCause: 'mqtt probe failed 3 times: ECONNREFUSED', healthSince: ago(754) },
    }),
    memoryNode('emqx-3', { ...well, connections: 5630, url: 'mqtt://10.0.3.13:1883' }),
    memoryNode('emqx-4', { ...well, connections: 612, state: 'draining', url: 'mqtt://10.0.3.14:1883' }),
    memoryNode('emqx-5', {
      ...well,
      connections: 4188,
      url: 'mqtt://10.0.3.15:1883',
      maxConnections: 20_000,
    }),
    memoryNode('emqx-6', { ...well, connections: 4204, url: 'mqtt://10.0.3.16:1883' }),
    memoryNode('old-1', { health: 'unhealthy', state: 'disabled', url: 'mqtt://10.0.9.2:1883' }),
  ];
  const clients = Array.from({ length: 400 }, (_, i) => deviceNumber(i));
  const backend = createMemoryBackend(nodes, clients);
  const probes = Array.from({ length: 40 }, (_, i) => ({
    at: ago((40 - i) * 5),
    seconds: 0.004 + ((i * 7) % 11) / 1000,
    ...([17, 18, 33].includes(i) && { failure: 'no answer within 2000 ms', seconds: 2 }),
  }));
  const growth = [41, 0, 58, 0, 44, 39, 0];
  let polls = 0;
  return Object.assign(backend, {
    nodes: () => {
      polls += 1;
      return [...backend.nodeTable.values()].map((node, i) => ({
        ...node,
        messagesTotal: Math.round((growth[i] ?? 0) * polls * (190 + Math.cos(polls / 4 + i) * 6)),
        connectsTotal: Math.round((growth[i] ?? 0) * polls * (2 + Math.sin(polls / 3 + i) * 0.5)),
      }));
    },
    status: statusOf(backend, () => polls),
    node: nodeOf(backend, probes),
    drainProgress: async (node: string) => ({
      ...({ node, state: 'moving', moved: 3588, left: 612, stays: 0, failed: 0 } as const),
      ...{ rate: 100, pace: 96, timeLeft: 6.4 },
    }),
    proxies: async () => threeProxies(backend),
    incidents: async () => ({ incidents: incidents(), missing: [] }),
  });
}

function statusOf(backend: MemoryBackend, polls: () => number): MemoryBackend['status'] {
  const status = backend.status;
  return () => ({
    ...status(),
    cluster: 'fleet-eu',
    connectionsTotal: 1_204_331 + polls() * Math.round(180 + Math.sin(polls() / 2) * 60),
    rejectedTotal: 318 + (polls() % 5),
  });
}

function nodeOf(
  backend: MemoryBackend,
  probes: ReturnType<MemoryBackend['node']>['probes'],
): MemoryBackend['node'] {
  const { node } = backend;
  return (id) => ({ ...node(id), ...backend.nodeTable.get(id), address: '10.0.3.13:1883', probes });
}

async function threeProxies(backend: MemoryBackend): Promise<readonly ProxyView[]> {
  const [first] = (await createMemoryBackend([...backend.nodeTable.values()]).proxies()) as [ProxyView];
  const about = { engine: 'epoll', threads: 4, listeners: ['mqtt://0.0.0.0:1883', 'mqtts://0.0.0.0:8883'] };
  const made = (id: string, connections: number, lastSeen: number, up: number): ProxyView => ({
    ...{ ...first, ...about, id, connections, lastSeen },
    ...{ host: `lb-${id}`, pid: 412, startedAt: ago(up) },
  });
  return [
    made('edge-1', 6322, 0, 90_000),
    made('edge-2', 6290, 1.2, 90_050),
    made('edge-3', 6232, 0.4, 3600),
  ];
}

function deviceNumber(i: number): ClientDetail {
  const node = ['emqx-1', 'emqx-3', 'emqx-5', 'emqx-6'][i % 4] as string;
  const client = memoryClient(`meter-${1000 + i}`, {
    ...{ node, proxy: `edge-${1 + (i % 3)}`, mode: 'session', reattachments: i % 5 === 0 ? 1 : 0 },
    ...{ remoteAddress: `203.0.113.${i % 250}:${40_000 + i}`, connectedAt: ago(900 + i * 31) },
  });
  const moved = {
    ...{ at: ago(752), cause: 'link-lost', evidence: 'refused', from: 'emqx-2', to: node },
    ...{ duration: 0.41, sessionPresent: true },
  };
  const session = {
    ...{ subscriptions: 3, inflightFromDevice: 1, inflightToDevice: 0, rememberedBytes: 2140, served: true },
    history: [moved],
  };
  return { ...client, session };
}

function incidents(): readonly IncidentView[] {
  const nothing = {
    moved: 0,
    movedTo: [],
    failed: 0,
    disconnected: 0,
    proxies: ['edge-1', 'edge-2', 'edge-3'],
  };
  return [
    {
      ...{ ...nothing, id: 'edge-1:9', kind: 'drain', node: 'emqx-4', from: ago(60), moved: 3588 },
      summary:
        'emqx-4 left from 03:24:11 on: 3588 sessions moved to emqx-1 (1190), emqx-5 (1201) and emqx-6 (1197) in 37 s, 0 disconnected',
    },
    {
      ...{ ...nothing, id: 'edge-1:8', kind: 'node-lost', node: 'emqx-2', from: ago(754), moved: 334 },
      summary:
        'emqx-2 lost at 03:12:07: 334 sessions moved to emqx-1 (112), emqx-3 (111) and emqx-5 (111) in 0.8 s, 0 disconnected, evidence refused',
    },
    {
      ...{ ...nothing, id: 'edge-2:3', kind: 'store-outage', from: ago(9000), to: ago(8988) },
      summary: 'the membership store was away at 00:55:01, for 12 s (ECONNRESET)',
    },
  ];
}

/** The loss of `emqx-2`, as the events tell it. */
export function lossOfNode(): readonly BreakwaterEvent[] {
  const move = { type: 'reattached', from: 'emqx-2', cause: 'link-lost', evidence: 'refused' } as const;
  const moves = Array.from({ length: 334 }, (_, i) => ({
    ...{ ...move, at: ago(753 - i / 400), clientId: `meter-${1333 - i}`, result: 'ok' },
    ...{ to: ['emqx-1', 'emqx-3', 'emqx-5'][i % 3], duration: 0.3 + i / 1000, sessionPresent: true },
  }));
  const meter = { clientId: 'meter-1000', node: 'emqx-2', remoteAddress: '203.0.113.0:40000' };
  const health = { type: 'node-health', at: ago(754), node: 'emqx-2', health: 'unhealthy' } as const;
  return [
    { type: 'node-state', at: ago(900), node: 'old-1', state: 'disabled', weight: 10 },
    { ...health, cause: 'mqtt probe failed 3 times: ECONNREFUSED' },
    ...moves.slice(0, -1),
    { ...meter, type: 'placed', at: ago(903) },
    ...moves.slice(-1),
    {
      type: 'rejected',
      at: ago(420),
      clientId: 'probe',
      remoteAddress: '198.51.100.9:5122',
      reason: 'not-mqtt',
    },
    { type: 'node-state', at: ago(60), node: 'emqx-4', state: 'draining', weight: 10 },
    { type: 'drain-progress', at: ago(2), node: 'emqx-4', state: 'moving', moved: 3588, left: 612 },
    { type: 'placed', at: ago(1), clientId: 'meter-2001', node: 'emqx-5', remoteAddress: '203.0.113.4:4001' },
  ];
}
