import { named } from '../admin/schemas.ts';
import { systemClock, systemTimers } from '../base/time.ts';
import type { DeviceOrders } from '../data-plane/device-orders.ts';
import type { ServerReference } from '../data-plane-api/departure.ts';
import { takingProxies } from '../membership/taking-proxies.ts';
import { Drains } from '../migration/drains.ts';
import { createLocalMoves } from '../migration/local-moves.ts';
import {
  proxyRebalanceEvent,
  rebalanceEvent,
  tellDeparture,
  tellDrain,
  tellProxyState,
} from '../migration/move-events.ts';
import { createMovesUnderWay } from '../migration/moves-under-way.ts';
import { type LocalClients, withPeerClients } from '../migration/peer-clients.ts';
import { withPeerDepartures } from '../migration/peer-departures.ts';
import { withPeerMoves } from '../migration/peer-moves.ts';
import { withPeerRebalance } from '../migration/peer-rebalance.ts';
import { PlanExecutor } from '../migration/plan-executor.ts';
import { ProxyDepartures } from '../migration/proxy-departures.ts';
import { createProxyMoves } from '../migration/proxy-moves.ts';
import { ProxyRebalancer } from '../migration/proxy-rebalancer.ts';
import { Rebalancer } from '../migration/rebalancer.ts';
import type { Common } from './common.ts';
import type { DataPlaneParts } from './data-plane-parts.ts';
import { createLocalClients, standstillOf } from './local-clients.ts';
import type { MembershipParts } from './membership-parts.ts';
import type { NodeParts } from './node-parts.ts';
import { createPeerTraces } from './peer-traces.ts';
import type { Phase } from './phase.ts';
import type { Teardown } from './teardown.ts';

/** What moves sessions, and lets devices leave, because a person wants it. */

const time = { clock: systemClock, timers: systemTimers };

/**
 * The parts that move sessions because a person wants it: drains, rebalancing and single moves, here and at all
 * other proxies.
 */
export function createMigrationParts(
  common: Common,
  dataPlane: DataPlaneParts,
  { nodes }: NodeParts,
  { cluster, topics, others }: MembershipParts,
  teardown: Teardown,
) {
  const { current, pools, identity, table, log, events, phase, former } = common;
  const { threads } = dataPlane;
  const { devices } = threads;
  const hold = { isOn: former !== undefined };
  /** Connections go over, to another process or another thread: what stands still can neither be moved nor be asked to leave. */
  const isHeld = () => hold.isOn || threads.awaited > 0;
  const drains = new Drains({
    liveAt: (id) => table.liveAt(id),
    move: devices.moveSome,
    proxies: () => Math.max(1, cluster.proxies().length),
    onProgress: (node, progress) => tellDrain(log, events.emit, node, progress),
    ...{ isHeld, ...time },
  });
  nodes.onChange((change) => drains.changed(change));
  const carryOut = new PlanExecutor({
    move: ({ from, count, to }) => devices.moveSome(from, count, 'rebalance', to),
    ...{ isHeld, ...time },
  });
  const peerClients = withPeerClients(
    localClients(dataPlane, identity.id, phase),
    topics,
    others,
    identity.id,
  );
  const localMoves = createLocalMoves({ proxyId: identity.id, table, drains, carryOut });
  const peerMoves = withPeerMoves(localMoves, topics, others);
  const rebalancer = new Rebalancer({
    connectionsAt: (id) => table.connectionsAt(id),
    onProgress: (view) => events.emit(rebalanceEvent(view)),
    ...{ pools, nodes, peerMoves, isHeld, log, ...time },
  });
  const rebalance = withPeerRebalance(
    { name: 'rebalance', view: named.Rebalance },
    () => rebalancer.progress(),
    topics,
    others,
  );
  teardown.deferStop(rebalancer, carryOut, drains);
  const departures = createDepartures(common, devices, cluster, isHeld);
  const peerDepartures = withPeerDepartures({
    ...{ self: identity.id, local: departures, topics },
    proxies: () => cluster.proxies().map(({ id }) => id),
  });
  const proxyRebalancer = new ProxyRebalancer({
    proxies: () => takingProxies(cluster.proxies()),
    onProgress: (view) => events.emit(proxyRebalanceEvent(view)),
    ...{ peers: peerDepartures, isHeld, log, ...time },
  });
  const proxyRebalance = withPeerRebalance(
    { name: 'proxy-rebalance', view: named.ProxyRebalance },
    () => proxyRebalancer.progress(),
    topics,
    others,
  );
  const proxyMoves = createProxyMoves({ peerDepartures, proxyRebalancer, proxyRebalance });
  teardown.deferStop(departures, proxyRebalancer);
  const underWay = createMovesUnderWay(
    { drains, plan: carryOut, rebalance: rebalancer, proxyRebalance: proxyRebalancer, departures },
    hold,
  );
  const orderTrace = createPeerTraces(current, identity.id, devices, topics);
  return {
    departures,
    proxyMoves,
    drains,
    carryOut,
    peerClients,
    orderTrace,
    peerMoves,
    rebalancer,
    rebalance,
    underWay,
  };
}

function localClients({ threads, listeners }: DataPlaneParts, proxyId: string, phase: Phase): LocalClients {
  const urlOf = (index: number): string => listeners.urlAt(index);
  return createLocalClients(threads.devices, proxyId, urlOf, () => standstillOf(phase, threads.awaited));
}

/** What lets devices leave this proxy. They are told where the other proxies are. */
function createDepartures(
  { identity, table, log, events, phase }: Common,
  devices: Pick<DeviceOrders, 'dismiss'>,
  cluster: Pick<MembershipParts['cluster'], 'proxies'>,
  isHeld: () => boolean,
): ProxyDepartures {
  const references = (): readonly ServerReference[] =>
    takingProxies(cluster.proxies()).flatMap(({ id, advertised = [] }) =>
      id === identity.id ? [] : advertised,
    );
  return new ProxyDepartures({
    dismiss: (departure, count, reason) =>
      devices.dismiss({ departure, count, reason, references: references() }),
    devices: () => table.devices(),
    phase,
    onState: (isDraining) => tellProxyState(log, events.emit, identity.id, isDraining),
    onProgress(kind, progress) {
      if (kind === 'drain') tellDeparture(log, events.emit, identity.id, progress);
    },
    ...{ isHeld, ...time },
  });
}
