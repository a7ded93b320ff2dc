import type {
  Backend,
  BreakwaterEvent,
  ClientDetail,
  ClientList,
  ClientQuery,
  ClientView,
  NodeView,
  RebalanceView,
} from '../../src/admin/backend.ts';
import type { AuditRecord } from '../../src/admin/journal-views.ts';
import { BreakwaterError } from '../../src/base/errors.ts';
import type { Log } from '../../src/base/log.ts';
import { systemTimers } from '../../src/base/time.ts';
import type { AdminToken, Role } from '../../src/config/admin.ts';
import { DeviceHistory } from '../../src/journal/device-history.ts';
import { Incidents } from '../../src/journal/incidents.ts';
import { Journal } from '../../src/journal/journal.ts';
import { createOthers } from '../../src/membership/other-proxies.ts';
import { createTopics } from '../../src/membership/store/topics.ts';
import type { Ban } from '../../src/policy/admission/bans.ts';
import { createBans } from '../../src/proxy/bans.ts';
import { rememberEvent } from '../../src/proxy/history-entries.ts';
import { createPeerEvents } from '../../src/proxy/peer-events.ts';
import { createPeerJournal } from '../../src/proxy/peer-journal.ts';

/** The admin API's backend, in memory: what it was asked is what it shows. */
export interface MemoryBackend extends Backend {
  readonly nodeTable: Map<string, NodeView>;
  readonly clientTable: Map<string, ClientDetail>;
  readonly listeners: Set<(event: BreakwaterEvent, id: string) => void>;
  readonly audited: AuditRecord[];
  ready: boolean;
  accepted: number;
  rebalanced: RebalanceView;
  emit(event: BreakwaterEvent): void;
}

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

export function adminToken(token: string, role: Role = 'admin', name: string = role): AdminToken {
  return { name, role, token };
}

export function memoryNode(id: string, more: Partial<NodeView> = {}): NodeView {
  const base = {
    pool: 'default',
    weight: 10,
    state: 'enabled',
    health: 'healthy',
    connections: 0,
    connectsTotal: 0,
    messagesTotal: 0,
    source: 'config',
  } as const;
  return { id, url: `mqtt://${id}:1883`, ...base, ...more };
}

let connections = 0;

export function memoryClient(clientId: string, more: Partial<ClientView> = {}): ClientView {
  return {
    clientId,
    connection: ++connections,
    node: 'a',
    proxy: 'edge-1',
    listener: 'mqtt://127.0.0.1:1883',
    remoteAddress: '192.0.2.7:51234',
    protocolVersion: 5,
    keepAlive: 60,
    mode: 'relay',
    connectedAt: new Date().toISOString(),
    reattachments: 0,
    ...more,
  };
}

const memoryMoves = { state: 'done', moved: 0, failed: 0, left: 0, rate: 100, pace: 0 } as const;

/** A page of these devices, whose connections have growing numbers. */
export function clientPage(
  found: readonly ClientView[],
  after: ClientQuery['after'],
  limit: number,
): ClientList {
  const behind = found.filter(({ connection }) => connection > (after?.connection ?? -1));
  const clients = behind.slice(0, limit);
  const next = behind.length > clients.length ? `#${clients.at(-1)?.connection}@edge-1` : undefined;
  return { clients, total: found.length, next, missing: [] };
}

export function createMemoryBackend(
  nodes: readonly NodeView[],
  clients: readonly ClientDetail[] = [],
): MemoryBackend {
  const nodeTable = new Map(nodes.map((node) => [node.id, node]));
  const clientTable = new Map(clients.map((client) => [client.clientId, client]));
  const banTable = new Map<string, Ban>();
  const listeners = new Set<(event: BreakwaterEvent, id: string) => void>();
  const journal = new Journal('test', { now: Date.now });
  const incidents = new Incidents({ now: Date.now });
  const history = new DeviceHistory(() => ({ devices: 100, bytes: 65_536 }));
  const audited: AuditRecord[] = [];
  const nobody = { ask: async () => ({ given: new Map(), missing: [] }) };
  const [topics, others] = [createTopics(nobody, () => {}), createOthers(() => [])];
  const peerEvents = createPeerEvents({
    ...{ proxyId: 'edge-1', journal, topics, others, listen() {} },
    ...{ timers: systemTimers, clock: { now: Date.now } },
  });
  const peerJournal = createPeerJournal({
    ...{ proxyId: 'edge-1', journal, incidents, history, peerEvents, topics, others },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  const find = <T>(table: Map<string, T>, id: string, code: 'NODE_UNKNOWN' | 'CLIENT_UNKNOWN'): T => {
    const found = table.get(id);
    if (found === undefined) throw new BreakwaterError(code, `"${id}" is unknown`);
    return found;
  };
  const put = (node: NodeView) => {
    nodeTable.set(node.id, node);
    return node;
  };
  const node = (id: string) => find(nodeTable, id, 'NODE_UNKNOWN');
  /** By its client id, or as `#17@edge-1`. */
  const client = (asked: string) => {
    const numbered = [...clientTable.values()].find(
      ({ connection, proxy }) => asked === `#${connection}@${proxy}`,
    );
    return numbered ?? find(clientTable, asked, 'CLIENT_UNKNOWN');
  };
  const views = () => [...nodeTable.values()];
  let proxyState: 'enabled' | 'draining' = 'enabled';
  const proxy = () => ({
    id: 'edge-1',
    version: '0.1.0',
    host: 'here',
    pid: 1,
    engine: 'node',
    threads: 2,
    listeners: ['mqtt://127.0.0.1:1883'],
    connections: clientTable.size,
    startedAt: new Date().toISOString(),
    state: proxyState,
    lastSeen: 0,
  });
  const drained = () => ({
    ...{ ...memoryMoves, proxy: 'edge-1' },
    state: proxyState === 'draining' ? ('done' as const) : ('off' as const),
  });
  const backend: MemoryBackend = {
    nodeTable,
    clientTable,
    listeners,
    audited,
    ready: true,
    accepted: 1000,
    rebalanced: { ...memoryMoves, pools: [], tolerance: 0, spread: 0, state: 'off' },
    emit: (event) => {
      const id = journal.idOf(journal.add(event));
      incidents.observe(event);
      rememberEvent(history, event);
      for (const listener of listeners) listener(event, id);
    },
    nodes: views,
    node: (id) => ({
      ...node(id),
      probeUrl: undefined,
      address: '127.0.0.1:1883',
      probes: [],
    }),
    addNode: async ({ url, id = new URL(url).host, pool = 'default', weight = 10 }) => {
      if (nodeTable.has(id)) throw new BreakwaterError('NODE_EXISTS', `node "${id}" exists`);
      return put(memoryNode(id, { url, pool, weight, source: 'api', health: 'unknown' }));
    },
    patchNode: async (id, { weight, state }) => {
      const before = node(id);
      return put({ ...before, weight: weight ?? before.weight, state: state ?? before.state });
    },
    removeNode: async (id) => {
      nodeTable.delete(node(id).id);
    },
    drainNode: async (id) => put({ ...node(id), state: 'draining' }),
    drainProgress: async (id) => {
      const isOff = node(id).state !== 'draining';
      return { ...memoryMoves, node: id, stays: 0, state: isOff ? 'off' : 'done' };
    },
    clients: async ({ node: wanted, match = '', after, limit }) => {
      const found = [...clientTable.values()].filter(
        (client) => client.clientId.includes(match) && (wanted === undefined || client.node === wanted),
      );
      return clientPage(found, after, limit);
    },
    client: async (asked) => client(asked),
    trace: async (asked) => {
      const { clientId, connection, proxy, node } = client(asked);
      const take = async () => ({ packets: [], dropped: 0 });
      return { client: { clientId, connection, proxy, node }, take, end: async () => {} };
    },
    kickClient: async (asked) => {
      clientTable.delete(client(asked).clientId);
    },
    moveClient: async (asked, to) => {
      const moved = { ...client(asked), node: node(to).id };
      clientTable.set(moved.clientId, moved);
      return moved;
    },
    ...createBans({
      store: {
        ban: async (ban) => void banTable.set(ban.id, ban),
        unban: async (id) => banTable.delete(id),
      },
      ...{ bans: () => banTable, clock: { now: Date.now }, events: { emit: (event) => backend.emit(event) } },
    }),
    rebalance: async ({ rate = 100, tolerance = 0.1 }) => {
      backend.rebalanced = { ...memoryMoves, pools: ['default'], rate, tolerance, spread: 0 };
      return backend.rebalanced;
    },
    rebalanceProgress: async () => backend.rebalanced,
    reload: async () => {
      const nothing = { added: [], removed: [], changed: [] };
      return { listeners: nothing, pools: nothing, settings: ['rules'], certificates: [] };
    },
    check: async () => {
      const nothing = { added: [], removed: [], changed: [] };
      return {
        valid: true,
        problems: [],
        warnings: [],
        listeners: nothing,
        pools: nothing,
        settings: ['rules'],
      };
    },
    upgrade: async () => ({
      from: { version: '1.0.0', pid: 7, generation: 1 },
      to: { version: '1.1.0', pid: 8, generation: 2 },
      ...{ connections: 5, left: 1, seconds: 0.25 },
    }),
    pools: () => [
      {
        name: 'default',
        strategy: 'round-robin',
        persistence: 'none',
        probe: 'tcp',
        nodes: 1,
        healthy: 1,
        connections: 0,
      },
    ],
    proxies: async () => [proxy()],
    drainProxy: async (id) => {
      if (id !== 'edge-1') throw new BreakwaterError('PROXY_UNKNOWN', `no proxy "${id}" lives`);
      proxyState = 'draining';
      return drained();
    },
    proxyDrainProgress: async () => drained(),
    enableProxy: async () => {
      proxyState = 'enabled';
    },
    rebalanceProxies: async ({ rate = 100, tolerance = 0.1 }) => {
      return { ...memoryMoves, proxies: ['edge-1', 'edge-2'], rate, tolerance, spread: 0 };
    },
    proxyRebalanceProgress: async () => {
      return { ...memoryMoves, proxies: [], tolerance: 0, spread: 0, state: 'off' };
    },
    status: () => ({
      cluster: 'default',
      proxy: proxy(),
      store: { kind: 'memory', up: true },
      lostProxies: [],
      nodes: {
        total: nodeTable.size,
        healthy: views().filter(({ health }) => health === 'healthy').length,
        enabled: views().filter(({ state }) => state === 'enabled').length,
      },
      connections: views().reduce((sum, { connections }) => sum + connections, 0),
      connectionsTotal: backend.accepted,
      crls: [],
      certificates: [],
      silentThreads: [],
      failingThreads: [],
      rejectedTotal: 12,
      ready: backend.ready,
    }),
    metrics: async () => ({
      contentType: 'text/plain; version=0.0.4',
      body: 'breakwater_node_up{node="a"} 1\n',
    }),
    ...peerJournal,
    audit: (record) => audited.push(record),
  };
  return backend;
}
