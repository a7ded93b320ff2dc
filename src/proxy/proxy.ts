import { type Admin, startAdmin } from '../admin/admin.ts';
import type { ReloadView } from '../admin/backend.ts';
import { messageOf } from '../base/errors.ts';
import { createMetrics } from '../base/metrics/metrics.ts';
import { openProcessLog } from '../base/process-log.ts';
import { systemClock, systemTimers } from '../base/time.ts';
import type { Config, PoolConfig } from '../config/config.ts';
import { ConfigHolder } from '../config/current.ts';
import { placeOf } from '../config/source.ts';
import { DataPlane, tableThreads } from '../data-plane/data-plane.ts';
import { watchThreads } from '../data-plane/thread-watch.ts';
import type { ThreadSettings } from '../data-plane-api/messages.ts';
import { PoolNumbers } from '../data-plane-api/pool-numbers.ts';
import { createTableMemory, openTable, TableWriter } from '../data-plane-api/routing-table.ts';
import { chooseEngine } from '../engine/create.ts';
import { createSlowStart } from '../health/slow-start.ts';
import { createStore, joinCluster } from '../membership/cluster-member.ts';
import { resolveHost } from '../membership/discovery/resolve.ts';
import { createNodeAdmin } from '../membership/node-admin.ts';
import { keepRoutes } from '../membership/routes.ts';
import { createSkippedRecords } from '../membership/skipped-records.ts';
import { createTopics } from '../membership/store/topics.ts';
import { createCarryOut } from '../migration/carry-out.ts';
import { createDrainWatch } from '../migration/drain-watch.ts';
import { createDrains } from '../migration/drains.ts';
import { createLocalMoves } from '../migration/local-moves.ts';
import { rebalanceEvent, tellDrain } from '../migration/move-events.ts';
import { withPeers } from '../migration/peers.ts';
import { createRebalancer } from '../migration/rebalancer.ts';
import { NodeTable } from '../nodes/table.ts';
import { createBackend } from './backend.ts';
import { startBeat } from './beat.ts';
import { createCertificates } from './certificates.ts';
import { createConnectionEvents } from './connection-events.ts';
import { createDescriptorBound } from './descriptors.ts';
import { createEventBus } from './event-bus.ts';
import { createFollowers } from './followers.ts';
import { identify } from './identity.ts';
import { interruptible } from './interruptible.ts';
import { Listeners } from './listeners.ts';
import { createLocalClients } from './local-clients.ts';
import { checkMachine } from './machine.ts';
import { watchNodes } from './node-events.ts';
import { createNodeHealth } from './node-health.ts';
import { createOwners } from './owners.ts';
import { createPoolTls } from './pool-tls.ts';
import { createReload } from './reload.ts';
import { createSharedKeys } from './shared-keys.ts';
import { createShutdown } from './shutdown.ts';
import { snapshotOf } from './snapshot.ts';
import { injectFaults } from './test-faults.ts';
import { readListeners } from './wanted-listeners.ts';

/** A proxy that runs. */
interface RunningServer {
  /** Where devices connect, with the ports that were chosen; `listener` is the configuration's URL. */
  readonly addresses: readonly { readonly listener: string; readonly url: string }[];
  readonly adminUrl: string;
  /** Resolves when everything has stopped. */
  readonly closed: Promise<void>;
  /** Stops accepting, gives connections their time of grace, and ends. */
  stop(): Promise<void>;
  /** Cuts the grace short. */
  abort(): void;
  /** Reads the configuration again and applies what changed; what is wrong with it is in the log too. @throws BreakwaterError */
  reload(): Promise<ReloadView>;
}

/**
 * The composition root: builds every part of one proxy, and lets them meet.
 * @param read the configuration as it is now, for a reload
 * @param stopping ends a start that is under way: it rejects with the signal's reason when all is closed again
 * @throws BreakwaterError CONFIG_INVALID (files of TLS), ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, ENGINE_UNAVAILABLE, TRANSPARENT_UNAVAILABLE, ADMIN_TOKEN_REQUIRED
 */
export async function startServer(
  config: Config,
  read: () => Promise<Config> = async () => config,
  stopping: AbortSignal = new AbortController().signal,
): Promise<RunningServer> {
  const current = new ConfigHolder(config);
  const processLog = openProcessLog(config.log);
  const { log } = processLog;
  await checkMachine(config);
  const engine = chooseEngine(config.proxy.engine);
  const certificates = createCertificates((listener, tls) => threads.updateTls(listener, tls), log);
  const wantedListeners = await readListeners(config, certificates);
  const poolTls = createPoolTls(() => threads.settle(threadSettings(), []), log);
  await poolTls.prepare(config);
  poolTls.use();
  const identity = identify(config, engine.name);
  const { id: proxy, version, threads: count } = identity;
  log.info({ proxy, version, engine: engine.name, threads: count, why: engine.why }, 'starting');

  // The control plane: what is declared and decided about nodes, and how they fare.
  const pools = (): readonly PoolConfig[] => current.config.pools;
  const poolNames = (): string[] => pools().map(({ name }) => name);
  const poolNumbers = new PoolNumbers();
  const memory = createTableMemory(tableThreads(identity.threads));
  const table = new TableWriter(openTable(memory, tableThreads(identity.threads)));
  const nodes = new NodeTable();
  const store = createStore(config, identity.id);
  const keys = createSharedKeys({
    ...{ config, store, log },
    onCookieKeys: () => void threads.settle(threadSettings(), []).catch(() => {}),
    onTicketKeys: (next) => void certificates.useTicketKeys(next).catch(() => {}),
  });
  const skipped = createSkippedRecords(log);
  const topics = createTopics(store, skipped.add);
  const bus = createEventBus(() => setVerbosity());
  const { lastFlip } = watchNodes(nodes, log, bus.emit);
  const { checker, losses } = createNodeHealth({
    poolNamed: (name) => current.poolNamed(name),
    addressesAt: (host) => routes.addressesAt(host),
    liveAt: (id) => table.liveAt(id),
    refresh: (node) => routes.refresh(node),
    judge: (verdict) => threads.judge(verdict),
    onProbe: (seconds) => metrics.probed(seconds),
    ...{ nodes, poolTls, log },
  });
  const slowStart = createSlowStart(systemClock, (pool) => current.poolNamed(pool).slowStartMs);
  nodes.onChange((change) => {
    slowStart.changed(change, !accepting);
    if (change.kind === 'removed') checker.remove(change.node.id);
    else checker.update(change.node);
  });
  const routes = keepRoutes({
    table: nodes,
    poolNumber: (pool) => poolNumbers.of(pool),
    sink: table,
    resolve: resolveHost,
    shareOf: slowStart.shareOf,
    isBusy: (id) => checker.isBusy(id),
    connectRateOf: (pool) => current.poolNamed(pool).upstream.connectRate,
    onUnrouted: (node, error) =>
      log.warn({ node: node.id, error: messageOf(error) }, 'node takes no devices'),
  });

  // What this proxy shares with the others of its cluster.
  let accepting = false;
  const proxyCount = (): number => Math.max(1, cluster.proxies().length);
  const drains = createDrains({
    liveAt: (id) => table.liveAt(id),
    move: (node, count, cause) => threads.moveSome(node, count, cause),
    proxies: proxyCount,
    onProgress: (node, progress) => tellDrain(log, bus.emit, node, progress),
    ...{ clock: systemClock, timers: systemTimers },
  });
  nodes.onChange((change) => drains.changed(change));
  const carryOut = createCarryOut({
    move: ({ from, count, to }) => threads.moveSome(from, count, 'rebalance', to),
    ...{ clock: systemClock, timers: systemTimers },
  });
  const peers = withPeers(
    {
      ...createLocalClients(
        {
          clients: (filter) => threads.clients(filter),
          kick: (whom) => threads.kick(whom),
          move: (whom, node) => threads.move(whom, node),
        },
        identity.id,
        (index) => listeners.urlAt(index),
      ),
      ...createLocalMoves({
        proxyId: identity.id,
        table,
        drains,
        carryOut,
        rebalance: () => rebalancer.progress(),
      }),
    },
    { topics, proxyId: identity.id, proxies: () => cluster.proxies().map(({ id }) => id) },
  );
  const cluster = joinCluster(store, {
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
    }),
    supersede: (newer) => threads.supersedeAll(newer),
    setRemote: (id, connections) => table.setRemote(id, connections),
    answer: topics.answer,
    onSkipped: skipped.add,
    health: checker,
  });
  const nodeAdmin = createNodeAdmin({
    table: nodes,
    store,
    pools: poolNames,
    declared: cluster.declared,
    isRemoved: cluster.isRemoved,
  });

  // The data plane: threads that own the sockets.
  const owners = createOwners((thread, accepted) => threads.supersede(thread, accepted));
  const boundDevices = createDescriptorBound(log, () => ({
    threads: identity.threads,
    listeners: current.config.listeners.length,
    nodes: nodes.list().length,
  }));
  const onEvents = createConnectionEvents({
    log,
    emit: bus.emit,
    health: checker,
    memory: cluster.claims,
    recalled: (thread, request, node) => threads.recalled(thread, request, node),
    owners,
    linksLost: (links) => losses.lost(links),
    linkExplained: (node, device) => losses.explained(node, device),
    reattached: (reattachment) => {
      const { cause, from, to } = reattachment;
      metrics.reattached(reattachment);
      drains.reattached(from, cause, to !== undefined);
      carryOut.reattached(cause, to !== undefined);
    },
    requests: (listener, status, count) => metrics.requests(listener, status, count),
    listenerUrl: (index) => listeners.urlAt(index),
  });
  const threads = new DataPlane({
    count: identity.threads,
    engine: engine.name,
    table: memory,
    settings: threadSettings(),
    onEvents,
    onFault: (thread, { where, message, stack }) =>
      log.error({ thread, error: message, stack }, `${where} failed`),
    onDeath: (thread, error) => {
      table.releaseThread(thread);
      owners.forget(thread);
      cluster.claims.forget(thread);
      log.error({ thread, error: messageOf(error) }, 'data thread died; starting it again');
    },
  });
  setVerbosity();
  const watchdog = watchThreads(table, log);
  injectFaults(threads);
  const listeners = new Listeners({ threads, table, numbers: poolNumbers, log });

  function threadSettings(): ThreadSettings {
    const { limits, rules, membership, log } = current.config;
    const { recallTimeoutMs } = membership;
    const isShared = store.kind === 'redis';
    const tellsRequests = log.level === 'debug';
    const arranged = poolNumbers.arrange(pools().map(keys.withCookieKey));
    const upstreamTls = arranged.map((pool) => pool && poolTls.of(pool.name));
    return {
      limits: boundDevices(limits),
      pools: arranged,
      upstreamTls,
      rules,
      recallTimeoutMs,
      isShared,
      tellsRequests,
    };
  }

  /** Returns the listeners whose files were others before. */
  function useCertificates(): string[] {
    const present = listeners.secured();
    return certificates.use(
      present,
      present.map(({ options }) => options),
    );
  }

  /** Single devices are told of where somebody reads it: in the log, or in the events. */
  function setVerbosity(): void {
    threads.setVerbose(['debug', 'info'].includes(current.config.log.level) || bus.hasAudience());
  }

  // Everything that people and programs ask.
  const metrics = createMetrics(() =>
    snapshotOf({
      ...{ table, nodes, store, listeners, logDropped: processLog.dropped, skipped: skipped.counts },
      longestTurns: () => watchdog.longestTurns(),
    }),
  );
  const rebalancer = createRebalancer({
    pools,
    nodes,
    connectionsAt: (id) => table.connectionsAt(id),
    ...{ peers, log, clock: systemClock, timers: systemTimers },
    onProgress: (view) => bus.emit(rebalanceEvent(view)),
  });
  const reload = createReload({
    ...{ read, current, listeners, log },
    ...createFollowers({ current, nodes, cluster, routes, checker, poolTls, log, setVerbosity }),
    async wanted(next) {
      await checkMachine(next);
      await poolTls.prepare(next);
      return readListeners(next, certificates);
    },
    accepting: () => accepting,
    async data(settings) {
      await threads.settle(threadSettings(), settings);
      return useCertificates();
    },
  });
  const backend = createBackend({
    current,
    identity,
    nodes,
    store,
    nodeAdmin,
    table,
    peers,
    rebalancer,
    isLeft: (id) => drains.progress(id) !== undefined,
    proxies: cluster.proxies,
    addressOf: routes.addressOf,
    lastFlip,
    listeners,
    reload,
    crls: certificates.crls,
    accepted: () => listeners.accepted,
    accepting: () => accepting,
    silentThreads: () => watchdog.silentThreads,
    metrics: metrics.exposition,
    subscribe: bus.subscribe,
  });
  const watchDrains = createDrainWatch(
    (id) => table.connectionsAt(id),
    (node) => {
      log.info({ node: node.id }, 'node drained: its last connection has left');
      bus.emit({ type: 'node-drained', at: new Date().toISOString(), node: node.id });
    },
  );
  const stopBeat = startBeat({
    ...{ clock: systemClock, delayed: metrics.delayed },
    look() {
      const all = nodes.list();
      for (const node of slowStart.starting(all)) routes.refresh(node);
      watchDrains(all);
      watchdog.look();
      threads.watchNodes(all.filter((node) => node.health === 'unhealthy').map((node) => node.id));
    },
  });

  let admin: Admin | undefined;
  async function close(): Promise<void> {
    stopBeat();
    keys.stop();
    certificates.stop();
    poolTls.stop();
    drains.stop();
    carryOut.stop();
    rebalancer.stop();
    checker.stop();
    routes.stop();
    await threads.close();
    await admin?.close();
    await cluster.leave();
    await processLog.flush();
  }

  try {
    await interruptible(cluster.start().then(keys.start), stopping);
    await interruptible(routes.settled(), stopping);
    admin = await startAdmin({
      url: config.admin.url,
      place: placeOf(config, ['admin', 'url']),
      token: () => current.config.admin.token,
      backend,
      log,
    });
    log.info({ url: admin.url }, 'admin listening');
    await listeners.start(wantedListeners);
    stopping.throwIfAborted();
    useCertificates();
    await certificates.useTicketKeys(keys.ticketKeys());
    accepting = true;
  } catch (error) {
    if (stopping.aborted) log.info({ devices: 0 }, 'stopped');
    await close();
    throw error;
  }

  const shutdown = createShutdown({
    ...{ clock: systemClock, log, close },
    graceMs: () => current.config.limits.shutdownGraceMs,
    devices: () => table.devices(),
    stopAccepting() {
      accepting = false;
      threads.stopAccepting();
    },
  });
  return {
    addresses: config.listeners.map(({ url }, i) => ({ listener: url, url: listeners.urls[i] ?? url })),
    adminUrl: admin.url,
    reload,
    ...shutdown,
  };
}
