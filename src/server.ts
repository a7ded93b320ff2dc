import { availableParallelism, hostname } from 'node:os';
import { type Admin, startAdmin } from './admin/admin.ts';
import { version } from './cli/version.ts';
import type { Config, PoolConfig } from './config/config.ts';
import { ConfigError } from './config/problems.ts';
import { createCarryOut } from './control/carry-out.ts';
import { type CheckedNode, Checker, type HealthOptions } from './control/checker.ts';
import { createDrainWatch, DRAIN_WATCH_MS } from './control/drain-watch.ts';
import { createDrains } from './control/drains.ts';
import { createNodeAdmin } from './control/node-admin.ts';
import { keepRoutes } from './control/routes.ts';
import { createSlowStart, SLOW_START_STEP_MS } from './control/slow-start.ts';
import { NODE_WATCH_MS } from './data-plane/node-watch.ts';
import { createTableMemory, openTable, TableWriter } from './data-plane/routing-table.ts';
import { Threads } from './data-plane/threads.ts';
import { resolveHost } from './discovery/resolve.ts';
import { chooseEngine } from './engine/create.ts';
import { messageOf } from './errors.ts';
import { probes } from './health/index.ts';
import { probeTarget } from './health/probe.ts';
import { createLog } from './log.ts';
import { createMetrics } from './metrics/metrics.ts';
import { NodeTable } from './nodes/table.ts';
import { createBackend, type Identity } from './server/backend.ts';
import { createCertificates } from './server/certificates.ts';
import { createStore, joinCluster } from './server/cluster-member.ts';
import { createConnectionEvents } from './server/connection-events.ts';
import { createEventBus } from './server/event-bus.ts';
import { createLocalClients } from './server/local-clients.ts';
import { createLocalMoves } from './server/local-moves.ts';
import { rebalanceEvent, tellDrain } from './server/move-events.ts';
import { watchNodes } from './server/node-events.ts';
import { createOwners } from './server/owners.ts';
import { withPeers } from './server/peers.ts';
import { createRebalancer } from './server/rebalancer.ts';
import { snapshotOf } from './server/snapshot.ts';
import { systemClock, systemRandom } from './time.ts';

/** A proxy that runs. */
export interface RunningServer {
  /** Where devices connect, with the ports that were chosen; `listener` is the configuration's URL. */
  readonly addresses: readonly { readonly listener: string; readonly url: string }[];
  readonly adminUrl: string;
  /** Resolves when everything has stopped. */
  readonly closed: Promise<void>;
  /** Reads the files of TLS again; what is wrong with one is logged, and the former one stays. */
  refreshCertificates(): Promise<unknown>;
  /** Stops accepting, gives connections their time of grace, and ends. */
  stop(): Promise<void>;
  /** Cuts the grace short. */
  abort(): void;
}

const systemTimers = {
  setTimeout: (run: () => void, ms: number): unknown => setTimeout(run, ms),
  clearTimeout: (timer: unknown): void => clearTimeout(timer as never),
};

/** How often it is looked whether the last device has left. */
const GRACE_POLL_MS = 100;

/**
 * The composition root: builds every part of one proxy, and lets them meet.
 * @throws BreakwaterError CONFIG_INVALID (files of TLS), ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, ENGINE_UNAVAILABLE, ADMIN_TOKEN_REQUIRED
 */
export async function startServer(config: Config): Promise<RunningServer> {
  const log = createLog(config.log);
  const engine = chooseEngine(config.proxy.engine);
  const certificates = createCertificates((listener, tls) => threads.updateTls(listener, tls), log);
  const listeners = config.listeners.map((listener, index) => ({ ...listener, index }));
  const tls = await certificates.read(listeners);
  if (tls.problems.length > 0) throw new ConfigError('TLS', tls.problems);
  const identity: Identity = {
    id: config.proxy.id ?? `${hostname()}-${process.pid}`,
    version: version(),
    host: hostname(),
    engine: engine.name,
    threads: threadCount(config, engine.name),
    startedAt: new Date().toISOString(),
  };
  const { why } = engine;
  log.info(
    { proxy: identity.id, version: identity.version, engine: engine.name, threads: identity.threads, why },
    'starting',
  );

  // The control plane: what is declared and decided about nodes, and how they fare.
  const pools = config.pools.map((pool) => pool.name);
  const memory = createTableMemory(identity.threads);
  const table = new TableWriter(openTable(memory, identity.threads));
  const nodes = new NodeTable();
  const store = createStore(config, identity.id);
  const isVerbose = config.log.level === 'debug' || config.log.level === 'info';
  const bus = createEventBus((anybody) => threads.setVerbose(isVerbose || anybody));
  const { lastFlip } = watchNodes(nodes, log, bus.emit);
  const checker = new Checker({
    probe: (node, health, signal) => probeNode(node, poolNamed(node.pool), health, signal),
    healthOf: (pool) => poolNamed(pool).health,
    onFlip: (id, health, cause) => nodes.setHealth(id, health, cause),
    onProbe: (_id, seconds) => metrics.probed(seconds),
    clock: systemClock,
    random: systemRandom,
    timers: systemTimers,
  });
  const poolNamed = (name: string) => config.pools[pools.indexOf(name)] as PoolConfig;
  const slowStart = createSlowStart(systemClock, (pool) => poolNamed(pool).slowStartMs);
  nodes.onChange((change) => {
    slowStart.changed(change, !accepting);
    if (change.kind === 'removed') checker.remove(change.node.id);
    else checker.update(change.node);
  });
  const routes = keepRoutes({
    table: nodes,
    pools,
    sink: table,
    resolve: resolveHost,
    shareOf: slowStart.shareOf,
    connectRateOf: (pool) => poolNamed(pool).upstream.connectRate,
    onUnrouted: (node, error) =>
      log.warn({ node: node.id, error: messageOf(error) }, 'node takes no devices'),
  });

  const slowStartTimer = setInterval(() => {
    for (const node of slowStart.starting(nodes.list())) routes.refresh(node);
  }, SLOW_START_STEP_MS);

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
          kick: (clientId) => threads.kick(clientId),
          move: (clientId, node) => threads.move(clientId, node),
        },
        identity.id,
        (index) => listenerUrls[index] ?? '',
      ),
      ...createLocalMoves({
        proxyId: identity.id,
        table,
        drains,
        carryOut,
        rebalance: () => rebalancer.progress(),
      }),
    },
    { store, proxies: proxyCount },
  );
  const cluster = joinCluster(store, {
    config,
    proxyId: identity.id,
    nodes,
    log,
    beat: () => ({
      ...identity,
      pid: process.pid,
      listeners: listenerUrls,
      connections: table.devices(),
      nodeConnections: table.liveByNode(),
    }),
    kick: (clientId) => void threads.kick(clientId).catch(() => {}),
    setRemote: (id, connections) => table.setRemote(id, connections),
    answer: peers.answer,
    health: checker,
  });
  const nodeAdmin = createNodeAdmin({
    table: nodes,
    store,
    pools,
    declared: cluster.declared,
    isRemoved: cluster.isRemoved,
  });

  // The data plane: threads that own the sockets.
  let listenerUrls: readonly string[] = config.listeners.map((listener) => listener.url);
  const onEvents = createConnectionEvents({
    log,
    emit: bus.emit,
    health: checker,
    memory: cluster.claims,
    recalled: (thread, request, node) => threads.recalled(thread, request, node),
    owners: createOwners((thread, clientId) => threads.superseded(thread, clientId)),
    reattached: (reattachment) => {
      const { cause, from, to } = reattachment;
      metrics.reattached(reattachment);
      drains.reattached(from, cause, to !== undefined);
      carryOut.reattached(cause, to !== undefined);
    },
    listenerUrl: (index) => listenerUrls[index] ?? '',
  });
  const threads = new Threads({
    count: identity.threads,
    engine: engine.name,
    table: memory,
    settings: {
      limits: config.limits,
      pools: config.pools,
      rules: config.rules,
      recallTimeoutMs: config.membership.recallTimeoutMs,
      isShared: store.kind === 'redis',
    },
    onEvents,
    onFault: (thread, message, stack) => log.error({ thread, error: message, stack }, 'a connection failed'),
    onDeath: (thread, error) => {
      table.releaseThread(thread);
      log.error({ thread, error: messageOf(error) }, 'data thread died; starting it again');
    },
  });
  threads.setVerbose(isVerbose);

  // Everything that people and programs ask.
  const metrics = createMetrics(() => snapshotOf(table, nodes, store, listenerUrls));
  const rebalancer = createRebalancer({
    pools: config.pools,
    nodes,
    connectionsAt: (id) => table.connectionsAt(id),
    peers,
    log,
    onProgress: (view) => bus.emit(rebalanceEvent(view)),
  });
  const backend = createBackend({
    config,
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
    listenerUrls: () => listenerUrls,
    accepting: () => accepting,
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
  const drainTimer = setInterval(() => watchDrains(nodes.list()), DRAIN_WATCH_MS);

  const watchTimer = setInterval(() => {
    const unhealthy = nodes.list().filter((node) => node.health === 'unhealthy');
    threads.watchNodes(unhealthy.map((node) => node.id));
  }, NODE_WATCH_MS);

  let admin: Admin | undefined;
  async function close(): Promise<void> {
    clearInterval(drainTimer);
    clearInterval(watchTimer);
    clearInterval(slowStartTimer);
    certificates.stop();
    drains.stop();
    carryOut.stop();
    rebalancer.stop();
    checker.stop();
    routes.stop();
    await threads.close();
    await admin?.close();
    await cluster.leave();
  }

  try {
    await cluster.start();
    await routes.settled();
    admin = await startAdmin({ url: config.admin.url, token: config.admin.token, backend, log });
    log.info({ url: admin.url }, 'admin listening');
    const bound = await threads.start(
      config.listeners.map(({ url, host, port, pool, mode, websocket }, index) => ({
        index,
        url,
        host,
        port,
        mode,
        pool: pools.indexOf(pool),
        tls: tls.options[index],
        websocket,
      })),
    );
    listenerUrls = config.listeners.map(({ url }, i) => withPort(url, bound[i]?.port ?? 0));
    for (const [i, { url }] of config.listeners.entries())
      log.info({ listener: url, url: listenerUrls[i] }, 'listening');
    certificates.use(listeners, tls.options);
    accepting = true;
  } catch (error) {
    await close();
    throw error;
  }

  let graceEndsAt = Number.POSITIVE_INFINITY;
  let stopping: Promise<void> | undefined;
  let resolveClosed: () => void;
  const closed = new Promise<void>((resolve) => {
    resolveClosed = resolve;
  });

  async function stopInOrder(): Promise<void> {
    graceEndsAt = systemClock.now() + config.limits.shutdownGraceMs;
    accepting = false;
    threads.stopAccepting();
    log.info({ devices: table.devices(), grace: config.limits.shutdownGraceMs / 1000 }, 'stopping');
    while (table.devices() > 0 && systemClock.now() < graceEndsAt) {
      await new Promise((resolve) => setTimeout(resolve, GRACE_POLL_MS));
    }
    log.info({ devices: table.devices() }, 'stopped');
    await close();
    resolveClosed();
  }

  return {
    addresses: config.listeners.map(({ url }, i) => ({ listener: url, url: listenerUrls[i] ?? url })),
    adminUrl: admin.url,
    closed,
    refreshCertificates: certificates.refresh,
    stop: () => (stopping ??= stopInOrder()),
    abort: () => {
      graceEndsAt = 0;
      stopping ??= stopInOrder();
      graceEndsAt = 0;
    },
  };
}

/** One worker does for Node's own event loop; the epoll engine takes a thread a core. */
function threadCount(config: Config, engine: 'epoll' | 'node'): number {
  if (engine === 'node') return 1;
  return config.proxy.threads === 'auto' ? availableParallelism() : config.proxy.threads;
}

function probeNode(
  node: CheckedNode,
  { upstream }: PoolConfig,
  health: HealthOptions,
  signal: AbortSignal,
): Promise<void> {
  const target = probeTarget(node, health.path, upstream.proxyProtocol);
  return probes[health.probe](target, { timeoutMs: health.timeoutMs, signal });
}

function withPort(url: string, port: number): string {
  return url.replace(/:\d+(?=\/|$)/, `:${port}`);
}
