import { isDeepStrictEqual } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
import { sharedClock, systemClock, systemRandom } from '../base/time.ts';
import { Scouts } from '../connection/scouts.ts';
import type { Wire } from '../connection/wire.ts';
import type {
  ClientAnswer,
  ClientFilter,
  Command,
  ListenerSettings,
  MoveTally,
  Report,
  WorkerSettings,
  WorkerStart,
} from '../data-plane-api/messages.ts';
import { addTallies } from '../data-plane-api/move-tally.ts';
import { openTable, pulseOf } from '../data-plane-api/routing-table.ts';
import { TableReader } from '../data-plane-api/table-reader.ts';
import { createEngineOr } from '../engine/create.ts';
import { Pulse } from '../engine/pulse.ts';
import { Bans } from '../policy/admission/bans.ts';
import { type ConnectionLimiter, createConnectionLimiter } from '../policy/admission/connection-limiter.ts';
import { createLogThrottle } from '../policy/admission/log-throttle.ts';
import { PendingBytes } from '../policy/admission/pending-bytes.ts';
import { createReconnectThrottle } from '../policy/admission/reconnect-throttle.ts';
import { TokenBucket } from '../policy/admission/token-bucket.ts';
import { compileRules } from '../policy/routing/rules.ts';
import { supersedeClient } from './accepted-clients.ts';
import { AffinityLookups } from './affinity-lookups.ts';
import { Balancer } from './balancer.ts';
import { endBanned } from './banned.ts';
import { ClientIds } from './client-ids.ts';
import { laidTogether } from './client-list.ts';
import { Departures } from './departures.ts';
import { EventBatch } from './event-batch.ts';
import { HandOver } from './hand-over.ts';
import { createHangDetector } from './hang-detector.ts';
import { ListenerHost } from './listener-host.ts';
import { LostLinks } from './lost-links.ts';
import { createPoolRoute } from './pool-route.ts';
import { ReattachTurns } from './reattach-turns.ts';
import { SessionMemories } from './session-memories.ts';
import { Traces } from './traces.ts';
import { Trials } from './trials.ts';
import { createTurnScheduler } from './turn-scheduler.ts';
import { answerListen, failureOf, strategiesOf } from './worker-answers.ts';
import type { WorkerContext } from './worker-context.ts';
import { createFaults, guardThread } from './worker-faults.ts';

/** A data thread: one engine, and the connections that it carries. Runs as a Worker; started by `worker-handle.ts`. */

const start = workerData as WorkerStart;
const report = (message: Report): void => parentPort?.postMessage(message);

const now = (): number => engine.now();
const faults = createFaults(report);
guardThread(faults, systemClock.now, () => giveUp(undefined));
const memory = openTable(start.table, start.tableThreads);
const table = new TableReader(memory, start.thread);
const events = new EventBatch(
  (task) => engine.defer(task),
  (batch) => report({ type: 'events', events: batch }),
  () => table.count('eventsDropped', 1),
  now,
);
const balancer = new Balancer(table, strategiesOf(start.settings), systemRandom);
const context = {
  ...choicesBy(start.settings),
  bans: new Bans(start.bans),
  pending: new PendingBytes(start.settings.limits.pendingBytes / start.threads),
  scheduler: createTurnScheduler(systemClock.now),
  owners: new ClientIds({
    now: sharedClock.now,
    tell: start.threads > 1 ? (event) => events.add(event) : undefined,
  }),
  memories: new SessionMemories({
    now: sharedClock.now,
    tell: (event) => events.add(event),
    maxMs: () => current.limits.sessionMemoryMs,
    followsSessions: () => current.followsSessions,
  }),
  spokenAtMs: new Map(),
  trials: new Trials(systemClock.now),
  turns: {
    lost: new ReattachTurns(systemClock.now, start.threads),
    hung: new ReattachTurns(systemClock.now, start.threads),
  },
  scouts: new Scouts(),
  lostLinks: new LostLinks({ table, now: sharedClock.now, tell: (event) => events.add(event) }),
  threads: start.threads,
  random: systemRandom,
  affinityLookups: new AffinityLookups((event) => events.add(event)),
  table,
  now,
  tell: (event) => events.add(event),
  verbose: true as boolean,
} satisfies WorkerContext;
/** A reload may come before the first listener, where the thread is being started again. */
let current = start.settings;
/** By the listeners' indexes, some of which other threads have. */
const hosts = new Map<number, ListenerHost>();
/** How links to nodes speak TLS, by the number of the pool. */
const linkTls: WorkerSettings['upstreamTls'][number][] = [];
const traces = new Traces(Date.now);
const departures = new Departures(systemRandom);
const hangDetector = createHangDetector(systemClock.now, systemRandom);
const refusalThrottle = createLogThrottle(systemClock);
const pauseThrottle = createLogThrottle(systemClock);
const { engine, failure } = createEngineOr(start.engine, start.spareEngine, {
  accept: (wire, peer, listener) => hosts.get(listener)?.accept(wire, peer),
  highWaterBytes: start.settings.limits.highWaterBytes,
  maxHandshakes: start.settings.limits.maxHandshakes,
  gathers: start.settings.limits.gathers,
  descriptors: start.descriptors,
  onHandshakeRefused: () => table.countRejected('tls-busy'),
  onHeaderRefused(listener, refusal, remoteAddress) {
    table.countAccepted(listener);
    table.countRejected(`proxy-${refusal}`);
    const more = refusalThrottle(`${listener} ${refusal}`);
    if (more !== undefined) events.add({ type: 'header-refused', listener, refusal, remoteAddress, more });
  },
  onAcceptPaused(reason) {
    const more = pauseThrottle(reason);
    if (more !== undefined) events.add({ type: 'accept-paused', reason, more });
  },
  onFault: (error) => faults.tell('a connection', error),
  onBroken(error, culprit) {
    faults.tell('a thread', error);
    giveUp(culprit);
  },
  traffic: table.traffic,
  pulse: new Pulse(pulseOf(memory, start.thread)),
});

const handOver = new HandOver({
  ...{ engine, hosts, report, now: systemClock.now },
  goOn: (connections) => endBanned(context.bans, connections),
  joined: (members) => departures.join(members),
});

/** What connections are placed by: those that are open keep the pool that they were given, and see the new limits. */
function choicesBy({ limits, pools, rules, recallTimeoutMs, isShared }: WorkerSettings) {
  const routes = pools.map(
    (pool, number) => pool && createPoolRoute(pool, number, balancer, recallTimeoutMs, limits.rates),
  );
  const decide = rules.length === 0 ? undefined : compileRules(rules);
  const reconnectThrottle = createReconnectThrottle(start.reconnectThrottle, limits.reconnectThrottle);
  const told = limits.refusalsTold / start.threads;
  const rejectionBudget = told === 0 ? undefined : new TokenBucket(told, Math.max(1, told));
  return { limits, routes, decide, reconnectThrottle, rejectionBudget, isShared };
}

/** Has links to nodes speak TLS as the settings say; what a pool had is compared, because it takes long to build. */
function secureLinks({ upstreamTls }: WorkerSettings): void {
  for (let pool = 0; pool < Math.max(upstreamTls.length, linkTls.length); pool++) {
    const tls = upstreamTls[pool];
    if (isDeepStrictEqual(tls, linkTls[pool])) continue;
    engine.updateUpstreamTls(pool, tls);
    linkTls[pool] = tls;
  }
}

function applySettings({ request, settings, listeners }: Extract<Command, { type: 'settings' }>): void {
  try {
    current = settings;
    secureLinks(settings);
    balancer.use(strategiesOf(settings));
    Object.assign(context, choicesBy(settings));
    context.pending.max = settings.limits.pendingBytes / start.threads;
    for (const listener of listeners) {
      const host = hosts.get(listener.index);
      if (listener.tls !== undefined && !isDeepStrictEqual(listener.tls, host?.listener.tls))
        engine.updateTls(listener.index, listener.tls);
      engine.updateProxyProtocol(listener.index, listener.proxyProtocol);
      host?.applySettings(listener, limiterOf(listener));
      engine.open(listener.index);
    }
    report({ type: 'done', request });
  } catch (error) {
    report({ type: 'failed', request, ...failureOf(error) });
  }
}

function limiterOf({ index, limits }: ListenerSettings): ConnectionLimiter {
  return createConnectionLimiter(start.limiter, start.thread, index, {
    ...context.limits.limiter,
    ...limits,
  });
}

/** A listener that is bound again, because a reload was refused, still has its devices. */
function receive(listener: ListenerSettings): void {
  const known = hosts.get(listener.index);
  if (known !== undefined) known.applySettings(listener, limiterOf(listener));
  else hosts.set(listener.index, new ListenerHost(context, listener, limiterOf(listener)));
}

async function listen({ request, listeners }: Extract<Command, { type: 'listen' }>): Promise<void> {
  try {
    if (hosts.size === 0) secureLinks(current); // before the first device
  } catch (error) {
    return report({ type: 'failed', request, ...failureOf(error) });
  }
  for (const listener of listeners) receive(listener);
  const bound = listeners.map((listener) =>
    // Of an opaque protocol nobody knows who speaks first.
    engine.listen({ ...listener, deviceGreets: listener.opaque !== 'tcp' }),
  );
  const undo = () => {
    for (const { index } of listeners) engine.unlisten(index);
  };
  report(await answerListen(request, listeners, bound, undo));
}

function* allOpen() {
  for (const { open } of hosts.values()) yield* open;
}

function dismiss({ request, ...order }: Extract<Command, { type: 'dismiss' }>): void {
  report({ type: 'dismissed', request, ...departures.take(order, hosts.values()) });
}

function endAll({ reason, listener }: Extract<Command, { type: 'endAll' }>): void {
  for (const [index, host] of hosts) if (listener === undefined || listener === index) host.endAll(reason);
}

function moveSome({ node, count, cause, to }: Extract<Command, { type: 'moveSome' }>): MoveTally {
  const tallies: MoveTally[] = [];
  let left = count;
  for (const host of hosts.values()) {
    const tally = host.moveSome(node, left, cause, to);
    left -= tally.moving + tally.noNode + tally.ended;
    tallies.push(tally);
  }
  return addTallies(tallies);
}

function clients(filter: ClientFilter): ClientAnswer {
  const answers = Array.from(hosts.values(), (host) => host.clients(filter));
  return laidTogether(answers, filter.limit);
}

function updateTls({ listener, tls }: Extract<Command, { type: 'updateTls' }>): string | undefined {
  try {
    engine.updateTls(listener, tls);
    const host = hosts.get(listener);
    if (host !== undefined) host.listener = { ...host.listener, tls };
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function exit(): void {
  events.flush();
  process.exit(0); // in a Worker this ends the thread, not the process
}

/** What else this turn of the loop finds in sockets comes before the answer. */
function settle(request: number): void {
  engine.defer(() => {
    events.flush();
    report({ type: 'done', request });
  });
}

/** The thread is no good any more. What it has said of its devices comes before them. */
function giveUp(culprit: Wire | undefined): never {
  try {
    handOver.stepBack(culprit);
    events.flush();
    handOver.leaveAll(culprit);
  } catch (error) {
    faults.tell('a thread', error);
  }
  process.exit(1);
}

function carryOut(command: Command): unknown {
  switch (command.type) {
    case 'listen':
      return listen(command);
    case 'unlisten':
      for (const index of command.listeners) engine.unlisten(index);
      return report({ type: 'done', request: command.request });
    case 'settings':
      return applySettings(command);
    case 'stop':
      return engine.stopAccepting();
    case 'endAll':
      return endAll(command);
    case 'dismiss':
      return dismiss(command);
    case 'close':
      return engine.close().then(exit);
    case 'verbose':
      context.verbose = command.on;
      return;
    case 'clients':
      return report({ type: 'clients', request: command.request, answer: clients(command.filter) });
    case 'watch':
      for (const each of [context.trials, context.turns.lost, context.turns.hung]) each.beat();
      return hangDetector.look(
        Array.from(hosts.values(), ({ open }) => open),
        table.unhealthy(),
      );
    case 'settle':
      return settle(command.request);
    case 'verdict':
      return context.lostLinks.answered(command.verdict);
    case 'superseded':
      return supersedeClient(context, command);
    case 'moveSome':
      return report({ type: 'moved', request: command.request, tally: moveSome(command) });
    case 'move': {
      const tallies = Array.from(hosts.values(), (host) => host.move(command));
      return report({ type: 'moved', request: command.request, tally: addTallies(tallies) });
    }
    case 'trace': {
      const answer = traces.answer(command.order, hosts.values());
      return report({ type: 'traced', request: command.request, answer });
    }
    case 'recalled':
      return context.affinityLookups.answered(command.request, command.node);
    case 'session-recalled':
      return context.memories.recalled(command.connection, command.subscriptions);
    case 'updateTls':
      return report({ type: 'tlsUpdated', request: command.request, problem: updateTls(command) });
    case 'bans':
      return endBanned(context.bans.change(command), allOpen());
    case 'kick': {
      let count = 0;
      for (const host of hosts.values()) count += host.kick(command);
      return report({ type: 'kicked', request: command.request, count });
    }
    default:
      return handOver.carryOut(command);
  }
}

parentPort?.on('message', (command: Command) => faults.carryOut(command, carryOut));

report({ type: 'ready', wakeFd: engine.wakeFd });
if (failure !== undefined) faults.tell(`engine ${start.engine}`, failure);
