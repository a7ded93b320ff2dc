import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ConfigHolder } from '../../../src/config/current.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { ClusterMember } from '../../../src/membership/cluster-member.ts';
import { MemoryStore } from '../../../src/membership/store/memory.ts';
import type { LivingProxy, ProxyBeat, StoreWatcher } from '../../../src/membership/store/store.ts';
import type { NodeSpec } from '../../../src/nodes/node.ts';
import { NodeTable } from '../../../src/nodes/table.ts';
import { silentLog } from '../../support/memory-backend.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

const declared =
  'pools: { default: { nodes: [{ id: a, url: "mqtt://a:1883" }, { id: b, url: "mqtt://b:1883" }] } }';
const added = (id: string, pool = 'default'): NodeSpec => ({
  ...{ id, pool, url: `mqtt://${id}:1883`, weight: 10, source: 'api' },
});
const beat = (id: string, nodeConnections: ProxyBeat['nodeConnections'] = []): LivingProxy => ({
  ...{ id, version: '1', host: 'h', pid: 1, engine: 'node', threads: 1, listeners: [], startedAt: '' },
  ...{ connections: 0, nodeConnections, lastSeen: 0 },
});

/** A member of a cluster whose store is in memory; `told` has what it says of nodes, and to the log. */
function scene(config = declared) {
  const current = new ConfigHolder(parseConfig(config, 'test'));
  const store = new MemoryStore();
  const nodes = new NodeTable();
  const told: string[] = [];
  const remote = new Map<string, number>();
  let watcher: StoreWatcher | undefined;
  const open = store.open.bind(store);
  store.open = (watching) => {
    watcher = watching;
    return open(watching);
  };
  const tell = (level: string) => (fields: unknown, message?: string) =>
    void told.push(`${level}: ${message ?? fields}`);
  const options: ConstructorParameters<typeof ClusterMember>[1] = {
    isSilent: false,
    ...{ current, proxyId: 'self', nodes },
    log: { ...silentLog, info: tell('info'), warn: tell('warn'), error: tell('error') },
    beat: () => beat('self'),
    supersede: ({ clientId }) => told.push(`superseded ${clientId}`),
    acceptedElsewhere: () => {},
    setRemote: (id, connections) => remote.set(id, connections),
    ...{ recalledSession: () => {}, forgotten: () => {} },
    onBans: () => {},
    answer: async (question) => question,
    onStore: () => {},
    onProxyLost() {},
    onProxyBack() {},
    onSkipped: () => {},
    health: {
      absent: (id, cause) => told.push(`${id}: ${cause}`),
      present: (id) => told.push(`${id} is present`),
    },
  };
  const member = new ClusterMember(store, options);
  const ids = () => nodes.list().map(({ id }) => id);
  return { current, store, nodes, told, remote, member, ids, watcher: () => watcher as StoreWatcher };
}

test('at the start it has the declared nodes and those of the store, and the others know of it', async () => {
  const { member, store, ids } = scene();
  await store.addNode(added('c'));
  expect(ids()).toEqual([]);
  await member.start();
  expect(ids().sort()).toEqual(['a', 'b', 'c']);
  expect(member.proxies().map(({ id }) => id)).toEqual(['self']);
  await member.leave();
});

test('what people decide and add meanwhile holds at once', async () => {
  const { member, store, nodes, ids } = scene();
  await member.start();
  await store.decide('a', { state: 'draining', weight: 30 });
  expect(nodes.get('a')).toMatchObject({ state: 'draining', weight: 30 });
  await store.addNode(added('c'));
  await store.decide('b', { removed: true });
  expect(ids()).toEqual(['a', 'c']);
  expect([member.isRemoved('b'), member.isRemoved('a')]).toEqual([true, false]);
  expect(member.declared().map(({ id }) => id)).toEqual(['a', 'b']);
  await member.leave();
});

test('a shared node that this proxy cannot use is left out, and told of once', async () => {
  const { member, store, ids, told } = scene();
  await store.addNode(added('foreign', 'elsewhere'));
  await member.start();
  await store.decide('a', { weight: 20 });
  expect(ids()).toEqual(['a', 'b']);
  expect(told.filter((line) => line.startsWith('warn'))).toEqual(['warn: shared node is not used']);
  await member.leave();
});

test('a node that registered itself and misses heartbeats is absent until it is heard again', async () => {
  const { member, store, told, watcher } = scene();
  await member.start();
  const self = { ...added('own'), source: 'self' as const };
  await store.beatNode(self, 1_000, 1_000);
  expect(told).toEqual(['own is present']);
  const late = new Map([['own', { ...self, late: true }]]);
  watcher().onMembership({ nodes: late, decisions: new Map(), bans: new Map() });
  expect(told.at(-1)).toBe('own: heartbeats missed');
  await member.leave();
});

test('what the others carry is counted, by node and without its own', async () => {
  const { member, watcher, remote } = scene();
  await member.start();
  watcher().onProxies([beat('self', [['a', 50]]), beat('two', [['a', 3]]), beat('three', [['a', 4]])]);
  expect(Object.fromEntries(remote)).toEqual({ a: 7, b: 0 });
  watcher().onProxies([beat('self', [['a', 50]])]);
  expect(Object.fromEntries(remote)).toEqual({ a: 0, b: 0 });
  expect(member.proxies()).toHaveLength(1);
  await member.leave();
});

test('a reload brings its nodes first, and takes those of before last', async () => {
  const { member, current, ids } = scene();
  await member.start();
  current.config = parseConfig(
    'pools: { default: { nodes: [{ id: b, url: "mqtt://b:1883" }, { id: c, url: "mqtt://c:1883" }] } }',
    'test',
  );
  member.enter();
  expect(ids()).toEqual(['a', 'b', 'c']);
  member.leaveOthers();
  expect(ids()).toEqual(['b', 'c']);
  await member.leave();
});

test('a store that goes and comes back is told of, changes no node, and gets the claims that it missed', async () => {
  const { member, store, ids, told, watcher } = scene();
  await member.start();
  const { claimClient } = store;
  store.claimClient = () => Promise.reject(new Error('away'));
  watcher().onUp(false, 'ECONNREFUSED');
  const device = { pool: 'default', clientId: 'meter' };
  await member.claims.claim({ ...device, who: 1, sinceMs: 1, node: 'a', ttlMs: 60_000, thread: 0 });
  expect(ids()).toEqual(['a', 'b']);
  store.claimClient = claimClient;
  watcher().onUp(true, undefined);
  await vi.waitFor(async () => expect(await store.recallClient(device)).toMatchObject({ node: 'a' }));
  expect(told).toEqual([
    'error: membership store does not answer: membership stays as it is',
    'info: membership store answers again',
  ]);
  await member.leave();
});

test('claims are renewed as time passes; who has left neither beats nor renews', async () => {
  const { member, store } = scene();
  const calls: string[] = [];
  const beatProxy = store.beatProxy.bind(store);
  const renewClients = store.renewClients.bind(store);
  store.beatProxy = (...args) => {
    calls.push('beat');
    return beatProxy(...args);
  };
  store.renewClients = (...args) => {
    calls.push('renew');
    return renewClients(...args);
  };
  await member.start();
  const device = { pool: 'default', clientId: 'meter' };
  await member.claims.claim({ ...device, who: 1, sinceMs: 1, node: 'a', ttlMs: 60_000, thread: 0 });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(calls.filter((call) => call === 'renew')).toHaveLength(1);
  expect(calls.filter((call) => call === 'beat').length).toBeGreaterThan(10);
  await member.leave();
  calls.length = 0;
  await vi.advanceTimersByTimeAsync(100_000);
  expect([calls, vi.getTimerCount()]).toEqual([[], 0]);
});
