/** Answers the admin API out of the parts of this proxy. */

import type {
  Backend,
  CertificateView,
  CrlView,
  DescriptorShortage,
  NodeDetail,
  NodeView,
  PoolView,
  ProxyView,
  RebalanceView,
  StatusView,
} from '../admin/backend.ts';
import type { JournalBackend } from '../admin/journal-views.ts';
import type { PoolConfig } from '../config/config.ts';
import type { CurrentConfig } from '../config/current.ts';
import { rejectReasons, type TableWriter } from '../data-plane-api/routing-table.ts';
import type { ProbeResult } from '../health/probe-history.ts';
import type { BreakwaterEvent } from '../journal/event.ts';
import type { StoreOutage } from '../membership/cluster-member.ts';
import type { LostProxy } from '../membership/lost-proxies.ts';
import type { NodeAdmin } from '../membership/node-admin.ts';
import type { LivingProxy, MembershipStore } from '../membership/store/store.ts';
import { createFoundClients } from '../migration/found-clients.ts';
import { createMoves } from '../migration/moves.ts';
import type { PeerClients } from '../migration/peer-clients.ts';
import type { PeerMoves } from '../migration/peer-moves.ts';
import type { ProxyMoves } from '../migration/proxy-moves.ts';
import type { Rebalancer } from '../migration/rebalancer.ts';
import { whomOf } from '../migration/whom.ts';
import { acceptsConnections, type Node } from '../nodes/node.ts';
import type { NodeTable } from '../nodes/table.ts';
import { auditEvent } from './audit-event.ts';
import { createClientTraces } from './client-trace.ts';
import type { Identity } from './identity.ts';
import type { Listeners } from './listeners.ts';
import type { OrderTrace } from './peer-traces.ts';
import { type Phase, proxyStateOf } from './phase.ts';

interface BackendParts {
  readonly current: CurrentConfig;
  readonly identity: Identity;
  /** Why it is not a faster one, where that was left to us. */
  readonly engine: { readonly why?: string };
  readonly nodes: NodeTable;
  readonly store: Pick<MembershipStore, 'kind' | 'isUp'>;
  readonly storeOutage: () => StoreOutage | undefined;
  readonly lostProxies: () => readonly LostProxy[];
  readonly nodeAdmin: NodeAdmin;
  readonly table: Pick<TableWriter, 'connectionsAt' | 'connectsAt' | 'trafficAt' | 'devices' | 'rejected'>;
  /** Devices of this proxy and of all others. */
  readonly peerClients: PeerClients;
  /** People's decisions about who may not connect. */
  readonly bans: Pick<Backend, 'bans' | 'ban' | 'unban'>;
  readonly orderTrace: OrderTrace;
  /** Drains of this proxy and of all others. */
  readonly peerMoves: Pick<PeerMoves, 'setDrainRate' | 'drainProgress'>;
  readonly rebalancer: Pick<Rebalancer, 'start'>;
  readonly proxyMoves: ProxyMoves;
  /** The rebalance under way, at whichever proxy. */
  readonly rebalance: () => Promise<RebalanceView | undefined>;
  /** Is this node, which was removed, still being left? */
  readonly isLeft: (nodeId: string) => boolean;
  /** Proxies that live, by their heartbeats. */
  readonly proxies: () => readonly LivingProxy[];
  readonly addressOf: (node: Node) => string | undefined;
  /** Why and when the health of a node last changed. */
  readonly lastFlip: (id: string) => { readonly cause: string; readonly at: string } | undefined;
  /** The last probes of a node, oldest first. */
  readonly probesOf: (id: string) => readonly ProbeResult[];
  readonly listeners: Pick<Listeners, 'urls' | 'counted'>;
  readonly reload: Backend['reload'];
  readonly check: Backend['check'];
  readonly upgrade: Backend['upgrade'];
  readonly crls: () => readonly CrlView[];
  readonly certificates: () => readonly CertificateView[];
  readonly logLoss: () => StatusView['logLoss'];
  readonly descriptorShortage: () => DescriptorShortage | undefined;
  /** Data threads that do not answer. */
  readonly silentThreads: () => readonly number[];
  /** Data threads that die again and again. */
  readonly failingThreads: () => readonly number[];
  readonly phase: Phase;
  /** Connections since the start, also at listeners that are gone. */
  readonly accepted: () => number;
  readonly metrics: Backend['metrics'];
  /** What has happened, here and at all other proxies. */
  readonly peerJournal: Pick<JournalBackend, 'past' | 'follow' | 'events' | 'incidents' | 'history'>;
  readonly events: { emit(event: BreakwaterEvent): void };
}

/** The admin API's view of one running proxy. */
export function createBackend(parts: BackendParts): Backend {
  const { current, identity, nodes, nodeAdmin, table, peerClients } = parts;

  function messagesAt(id: string): number {
    const traffic = parts.listeners.counted().map(({ index }) => table.trafficAt(id, index));
    return traffic.reduce(
      (sum, at) => sum + (at?.publishesFromDevice ?? 0) + (at?.publishesToDevice ?? 0),
      0,
    );
  }

  function viewOf({ id, pool, url, weight, maxConnections, state, health, source }: Node): NodeView {
    const flip = parts.lastFlip(id);
    return {
      ...{ id, pool, url, weight, maxConnections, state, health },
      healthCause: flip?.cause,
      healthSince: flip?.at,
      connections: table.connectionsAt(id),
      connectsTotal: table.connectsAt(id),
      messagesTotal: messagesAt(id),
      source,
    };
  }

  function detailOf(node: Node): NodeDetail {
    const probes = parts.probesOf(node.id);
    return {
      ...viewOf(node),
      probeUrl: node.probeUrl,
      address: parts.addressOf(node),
      probes: probes.map(({ at, ...rest }) => ({ at: new Date(at).toISOString(), ...rest })),
    };
  }

  const clients = createFoundClients(peerClients);

  const self = (): ProxyView => ({
    ...identity,
    engineReason: parts.engine.why,
    pid: process.pid,
    listeners: parts.listeners.urls,
    connections: table.devices(),
    state: proxyStateOf(parts.phase),
    lastSeen: 0,
  });

  function poolView({ name, strategy, persistence, health }: PoolConfig): PoolView {
    const members = nodes.byPool(name);
    return {
      name,
      strategy,
      persistence: persistence.by,
      probe: health.probe,
      nodes: members.length,
      healthy: members.filter((node) => node.health === 'healthy').length,
      connections: members.reduce((sum, node) => sum + table.connectionsAt(node.id), 0),
    };
  }

  return {
    nodes: () => nodes.list().map(viewOf),
    node: (id) => detailOf(nodes.get(id)),
    addNode: async (create) => viewOf(await nodeAdmin.add(create)),
    patchNode: async (id, patch) => viewOf(await nodeAdmin.change(id, patch)),
    removeNode: (id) => nodeAdmin.remove(id),
    ...createMoves({ ...parts, clients, viewOf }),
    ...parts.proxyMoves,
    ...parts.bans,
    clients: peerClients.clients,
    client: async (asked) => (await clients.find(whomOf(asked)))[0],
    trace: createClientTraces(clients, parts.orderTrace),
    kickClient: async (asked) => clients.kick(whomOf(asked)),
    pools: () => current.config.pools.map(poolView),
    proxies: async () => {
      const others = parts.proxies().filter(({ id }) => id !== identity.id);
      return [self(), ...others.map(viewOfOther)];
    },
    status: () => statusOf(parts, self()),
    metrics: parts.metrics,
    ...parts.peerJournal,
    audit: (record) => parts.events.emit(auditEvent(record, new Date().toISOString())),
    reload: parts.reload,
    check: parts.check,
    upgrade: parts.upgrade,
  };
}

function viewOfOther({
  nodeConnections: _,
  advertised: _told,
  state = 'enabled',
  ...view
}: LivingProxy): ProxyView {
  return { ...view, state };
}

/** Ready: it accepts, a node takes devices, and no worker is silent or dies again and again. */
function statusOf(parts: BackendParts, proxy: ProxyView): StatusView {
  const { current, nodes, store, table } = parts;
  const list = nodes.list();
  const takers = list.filter((node) => acceptsConnections(node) && node.health !== 'unhealthy');
  const silentThreads = parts.silentThreads();
  const failingThreads = parts.failingThreads();
  const threadsWork = silentThreads.length === 0 && failingThreads.length === 0;
  return {
    cluster: current.config.cluster,
    proxy,
    store: { kind: store.kind, up: store.isUp(), ...parts.storeOutage() },
    lostProxies: parts.lostProxies().map(({ id, sinceMs, connections }) => ({
      ...{ id, connections, since: new Date(sinceMs).toISOString() },
    })),
    nodes: {
      total: list.length,
      healthy: list.filter((node) => node.health === 'healthy').length,
      enabled: list.filter(acceptsConnections).length,
    },
    connections: table.devices(),
    connectionsTotal: parts.accepted(),
    rejectedTotal: rejectReasons.reduce((sum, reason) => sum + table.rejected(reason), 0),
    crls: parts.crls(),
    certificates: parts.certificates(),
    descriptorShortage: parts.descriptorShortage(),
    logLoss: parts.logLoss(),
    ...{ silentThreads, failingThreads },
    ready: proxy.state === 'enabled' && takers.length > 0 && threadsWork,
  };
}
