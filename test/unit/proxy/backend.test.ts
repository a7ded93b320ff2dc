import { expect, test } from 'vitest';
import { BreakwaterError } from '../../../src/base/errors.ts';
import { ConfigHolder } from '../../../src/config/current.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { createNodeAdmin } from '../../../src/membership/node-admin.ts';
import { desiredNodes, reconcile } from '../../../src/membership/reconcile.ts';
import { MemoryStore } from '../../../src/membership/store/memory.ts';
import type { LivingProxy, Membership } from '../../../src/membership/store/store.ts';
import { NodeTable } from '../../../src/nodes/table.ts';
import { createBackend } from '../../../src/proxy/backend.ts';
import { memoryClient } from '../../support/memory-backend.ts';

type BackendParts = Parameters<typeof createBackend>[0];

const config = `
pools:
  default: { strategy: round-robin, nodes: [{ id: a, url: "mqtt://a:1883" }, { id: b, url: "mqtt://b:1883" }] }
  web: { nodes: [{ id: w, url: "http://w:80" }] }`;
const identity = {
  ...{ id: 'self', version: '1.2.3', host: 'here', engine: 'node', threads: 1 },
  startedAt: '2026-01-01T00:00:00Z',
  generation: 1,
};
const living = (id: string): LivingProxy => ({
  ...{ ...identity, id, pid: 7, listeners: [], connections: 4, nodeConnections: [['a', 4]], lastSeen: 1 },
});
const unused = () => expect.unreachable();

/** A proxy with one pool of MQTT and one of HTTP, whose store is in memory. */
async function scene(more: Partial<BackendParts> = {}) {
  const current = new ConfigHolder(parseConfig(config, 'test'));
  const declared = () => current.config.pools.flatMap((pool) => pool.nodes);
  const store = new MemoryStore();
  const nodes = new NodeTable();
  let membership: Membership = { nodes: new Map(), decisions: new Map(), bans: new Map() };
  await store.open({
    onMembership(next) {
      membership = next;
      reconcile(nodes, desiredNodes(declared(), [], membership));
    },
    ...{ onProxies() {}, onClaim() {}, onSkipped() {}, onUp() {}, onAsk: unused },
  });
  const rates: [string, number][] = [];
  const kicked: unknown[] = [];
  const counts: Record<string, number> = { a: 3, b: 1, w: 2 };
  const clients = [memoryClient('meter', { connection: 17 })];
  const parts: BackendParts = {
    engine: { why: 'not epoll: it needs Linux' },
    ...{ current, identity, nodes, store, storeOutage: () => undefined, lostProxies: () => [] },
    nodeAdmin: createNodeAdmin({
      ...{ table: nodes, store, declared },
      pools: () => current.config.pools.map(({ name }) => name),
      isRemoved: (id) => membership.decisions.get(id)?.removed === true,
    }),
    table: {
      connectionsAt: (id) => counts[id] ?? 0,
      connectsAt: () => 70,
      trafficAt: (id, listener) =>
        id === 'a'
          ? { bytesFromDevice: 9, bytesToDevice: 9, publishesFromDevice: 5, publishesToDevice: 6 + listener }
          : undefined,
      devices: () => 6,
      rejected: (reason) => (reason === 'banned' ? 2 : 0),
    },
    peerClients: {
      clients: async () => ({ clients, total: clients.length, missing: [] }),
      client: async (whom) =>
        clients.filter(({ clientId, connection }) =>
          'clientId' in whom ? whom.clientId === clientId : whom.connection === connection,
        ),
      kick: async (whom) => kicked.push(whom),
      move: unused,
    },
    peerMoves: {
      setDrainRate: async (id, rate) => void rates.push([id, rate]),
      drainProgress: unused,
    },
    rebalancer: { start: unused },
    rebalance: async () => undefined,
    isLeft: () => false,
    proxies: () => [living('self'), living('other')],
    addressOf: ({ id }) => (id === 'a' ? '192.0.2.1:1883' : undefined),
    lastFlip: (id) => (id === 'a' ? { cause: 'connect refused', at: '2026-01-02T00:00:00Z' } : undefined),
    probesOf: (id) => (id === 'a' ? [{ at: 0, seconds: 0.2, failure: 'ECONNREFUSED' }] : []),
    listeners: {
      urls: ['mqtt://127.0.0.1:1883'],
      counted: () => [0, 1].map((index) => ({ index, url: `mqtt://127.0.0.1:${index}`, accepted: 0 })),
    },
    reload: unused,
    check: unused,
    upgrade: unused,
    crls: () => [],
    orderTrace: async () => ({ state: 'absent', packets: [], dropped: 0 }),
    certificates: () => [],
    descriptorShortage: () => undefined,
    logLoss: () => undefined,
    silentThreads: () => [],
    failingThreads: () => [],
    phase: { isAccepting: true, isStopping: false, isDraining: false, isUpgrading: false },
    proxyMoves: {} as BackendParts['proxyMoves'],
    bans: {} as BackendParts['bans'],
    accepted: () => 9,
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
    events: { emit: () => {} },
    peerJournal: {} as never,
    ...more,
  };
  return { backend: createBackend(parts), nodes, store, rates, kicked };
}

test('a node is shown with its connections, and by itself with what is known of its health', async () => {
  const { backend } = await scene();
  const shown = backend.nodes().map((node) => [node.id, node.pool, node.connections, node.healthCause]);
  expect(shown).toEqual([
    ['a', 'default', 3, 'connect refused'],
    ['b', 'default', 1, undefined],
    ['w', 'web', 2, undefined],
  ]);
  expect(backend.node('a')).toMatchObject({
    ...{ id: 'a', address: '192.0.2.1:1883' },
    ...{ healthCause: 'connect refused', healthSince: '2026-01-02T00:00:00Z', connectsTotal: 70 },
    messagesTotal: 23,
    probes: [{ at: '1970-01-01T00:00:00.000Z', seconds: 0.2, failure: 'ECONNREFUSED' }],
  });
  expect(backend.node('b')).toMatchObject({ address: undefined, healthCause: undefined, messagesTotal: 0 });
  expect(() => backend.node('c')).toThrow('no node "c"');
});

test('nodes are added, changed, drained and removed, and the answer is how they stand then', async () => {
  const { backend, rates } = await scene();
  const created = await backend.addNode({ url: 'mqtt://c:1883', id: 'c' });
  expect(created).toMatchObject({
    id: 'c',
    pool: 'default',
    state: 'enabled',
    source: 'api',
    connections: 0,
  });
  expect(await backend.patchNode('c', { weight: 50 })).toMatchObject({ weight: 50 });
  expect(await backend.drainNode('c', { rate: 20 })).toMatchObject({ state: 'draining' });
  expect(await backend.drainNode('a', {})).toMatchObject({ state: 'draining' });
  expect(rates).toEqual([['c', 20]]);
  await backend.removeNode('c');
  await expect(backend.drainNode('c', {})).rejects.toMatchObject({ code: 'NODE_UNKNOWN' });
  await expect(backend.addNode({ url: 'mqtt://w:1', pool: 'web' })).rejects.toThrow('speaks MQTT');
});

test('a device is found and kicked by client id or by number, and an unknown one is an error', async () => {
  const { backend, kicked } = await scene();
  expect(await backend.client('#17')).toMatchObject({ clientId: 'meter' });
  expect(await backend.client('meter')).toMatchObject({ connection: 17 });
  await backend.kickClient('meter');
  expect(kicked).toEqual([{ clientId: 'meter' }]);
  await expect(backend.client('nobody')).rejects.toMatchObject({ code: 'CLIENT_UNKNOWN' });
});

test('a device that stands still is ordered to move unseen, to a node that takes it, and whoever asked is told to try again', async () => {
  const moves: unknown[] = [];
  const why = new BreakwaterError('UPGRADE_UNDER_WAY', 'connections go over');
  const standing = async () => Promise.reject(why);
  const { backend, nodes } = await scene({
    peerClients: {
      ...{ clients: standing, client: standing, kick: standing },
      async move(whom, node) {
        moves.push([whom, node]);
        throw why;
      },
    },
  });
  await expect(backend.moveClient('meter', 'b')).rejects.toBe(why);
  await expect(backend.moveClient('#17@edge-1', 'b')).rejects.toBe(why);
  const ordered = [
    [{ clientId: 'meter' }, 'b'],
    [{ connection: 17, proxy: 'edge-1' }, 'b'],
  ];
  expect(moves).toEqual(ordered);
  nodes.setState('b', 'draining');
  for (const to of ['b', 'unknown']) await expect(backend.moveClient('meter', to)).rejects.toBe(why);
  await expect(backend.moveClient('#17', 'a')).rejects.toBe(why); // of whichever proxy has that number
  expect(moves).toEqual(ordered);
});

test('pools are summed up over their nodes', async () => {
  const { backend, nodes } = await scene();
  nodes.setHealth('a', 'healthy', 'probe');
  expect(backend.pools()).toMatchObject([
    { name: 'default', strategy: 'round-robin', nodes: 2, healthy: 1, connections: 4 },
    { name: 'web', nodes: 1, healthy: 0, connections: 2 },
  ]);
});

test('this proxy comes first, once, by what it knows itself', async () => {
  const { backend } = await scene();
  const [self, other, ...more] = await backend.proxies();
  expect(self).toMatchObject({ id: 'self', pid: process.pid, connections: 6, lastSeen: 0 });
  expect(other).toMatchObject({ id: 'other', connections: 4, lastSeen: 1 });
  expect([other, more]).toEqual([expect.not.objectContaining({ nodeConnections: expect.anything() }), []]);
});

test('the status counts nodes and devices, and is ready', async () => {
  const { backend, nodes } = await scene();
  nodes.setHealth('a', 'healthy', 'probe');
  nodes.setState('b', 'draining');
  expect(backend.status()).toMatchObject({
    ...{ cluster: 'default', store: { kind: 'memory', up: true }, ready: true },
    nodes: { total: 3, healthy: 1, enabled: 2 },
    ...{ connections: 6, connectionsTotal: 9, rejectedTotal: 2 },
  });
});

test.each<[string, Partial<BackendParts>, (nodes: NodeTable) => void]>([
  [
    'it starts',
    { phase: { isAccepting: false, isStopping: false, isDraining: false, isUpgrading: false } },
    () => {},
  ],
  [
    'it stops',
    { phase: { isAccepting: false, isStopping: true, isDraining: false, isUpgrading: false } },
    () => {},
  ],
  [
    'it is drained',
    { phase: { isAccepting: true, isStopping: false, isDraining: true, isUpgrading: false } },
    () => {},
  ],
  ['a data thread does not answer', { silentThreads: () => [1] }, () => {}],
  ['a data thread dies again and again', { failingThreads: () => [1] }, () => {}],
  ['no node takes devices', {}, (nodes) => void nodes.list().map(({ id }) => nodes.setState(id, 'disabled'))],
  [
    'all nodes are unhealthy',
    {},
    (nodes) => void nodes.list().map(({ id }) => nodes.setHealth(id, 'unhealthy', 'probe')),
  ],
])('it is not ready where %s', async (_, parts, change) => {
  const { backend, nodes } = await scene(parts);
  change(nodes);
  expect(backend.status().ready).toBe(false);
});
