import { systemTimers } from '../base/time.ts';
import type { Config } from '../config/config.ts';
import { clientNumber } from '../data-plane/client-ids.ts';
import { ClusterMember, createStore } from '../membership/cluster-member.ts';
import { createForgottenSessions } from '../membership/forgotten-sessions.ts';
import { createNodeAdmin } from '../membership/node-admin.ts';
import { createOthers } from '../membership/other-proxies.ts';
import { createSkippedRecords } from '../membership/skipped-records.ts';
import type { AdvertisedListener } from '../membership/store/store.ts';
import { createTopics } from '../membership/store/topics.ts';
import type { Common } from './common.ts';
import type { DataPlaneParts } from './data-plane-parts.ts';
import type { NodeParts } from './node-parts.ts';
import { createPeerEvents } from './peer-events.ts';
import { createPeerJournal } from './peer-journal.ts';
import { proxyStateOf } from './phase.ts';
import { SharedKeys } from './shared-keys.ts';
import type { Teardown } from './teardown.ts';

/** What this proxy shares with the others of its cluster: nodes, what people decide about them, claims, keys, questions. */
export async function createMembershipParts(
  { current, pools, identity, former, table, log, events, phase, ...kept }: Common,
  { threads, listeners, certificates }: DataPlaneParts,
  { nodes, checker, losses }: NodeParts,
  teardown: Teardown,
) {
  const { config } = current;
  const forgotten = createForgottenSessions(log);
  const store = await createStore(current, identity.id, forgotten.add);
  if (former?.store !== undefined) store.restore(former.store);
  const keys = new SharedKeys({
    ...{ config, store, log, former: former?.keys },
    onTicketKeys: (next) => void certificates.useTicketKeys(next).catch(() => {}),
  });
  const skipped = createSkippedRecords(log);
  const topics = createTopics(store, skipped.add);
  const cluster = new ClusterMember(store, {
    current,
    proxyId: identity.id,
    nodes,
    log,
    beat: () => ({
      ...identity,
      pid: process.pid,
      listeners: listeners.urls,
      connections: table.devices(),
      nodeConnections: table.liveByNode(),
      state: proxyStateOf(phase),
      advertised: advertisedBy(current.config),
    }),
    supersede: (newer) => threads.supersedeAll(newer),
    acceptedElsewhere: ({ pool, clientId }) => losses.accepted(clientNumber(pool, clientId)),
    setRemote: (id, connections) => table.setRemote(id, connections),
    recalledSession: (thread, connection, subscriptions) =>
      threads.recalledSession(thread, connection, subscriptions),
    forgotten: forgotten.add,
    onBans: (bans) => threads.applyBans(bans),
    answer: topics.answer,
    isSilent: former !== undefined,
    sessionsStart: former?.sessionsStart,
    onSkipped: skipped.add,
    onStore: (up, cause) =>
      events.emit({ type: 'store', at: new Date().toISOString(), state: up ? 'up' : 'down', cause }),
    onProxyLost: ({ id: peer, connections }) => {
      log.warn({ peer, connections }, 'a proxy of the cluster has vanished');
      events.emit({ type: 'proxy-lost', at: new Date().toISOString(), peer, state: 'lost', connections });
    },
    onProxyBack: (peer) => {
      log.info({ peer }, 'a proxy of the cluster is back');
      events.emit({ type: 'proxy-lost', at: new Date().toISOString(), peer, state: 'back' });
    },
    health: checker,
  });
  const others = createOthers(() =>
    cluster
      .proxies()
      .map(({ id }) => id)
      .filter((id) => id !== identity.id),
  );
  const nodeAdmin = createNodeAdmin({
    table: nodes,
    store,
    pools: () => pools().map(({ name }) => name),
    declared: () => cluster.declared(),
    isRemoved: (id) => cluster.isRemoved(id),
  });
  const { journal, incidents, history } = kept;
  const peerEvents = createPeerEvents({
    ...{ proxyId: identity.id, journal, topics, others, listen: events.listen },
    ...{ timers: systemTimers, clock: { now: Date.now } },
  });
  const peerJournal = createPeerJournal({
    ...{ proxyId: identity.id, journal, incidents, history, peerEvents, topics, others },
    subscribe: events.subscribe,
  });
  teardown.defer(() => cluster.leave());
  teardown.deferStop(keys);
  return { peerJournal, store, keys, skipped, forgotten, topics, others, cluster, nodeAdmin };
}

/** Where devices reach the listeners of this proxy themselves. */
function advertisedBy({ listeners }: Config): readonly AdvertisedListener[] {
  return listeners.flatMap(({ url, advertise: address }) =>
    address === undefined ? [] : [{ scheme: url.slice(0, url.indexOf(':')), address }],
  );
}

export type MembershipParts = Awaited<ReturnType<typeof createMembershipParts>>;
