import { isDeepStrictEqual } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
import { systemClock, systemRandom } from '../base/time.ts';
import { Balancer } from '../data-plane/balancer.ts';
import { Departures } from '../data-plane/departures.ts';
import { EventBatch } from '../data-plane/event-batch.ts';
import { answerListen, failureOf, strategiesOf } from '../data-plane/worker-answers.ts';
import { createFaults, guardThread } from '../data-plane/worker-faults.ts';
import type {
  Command,
  ListenerSettings,
  Report,
  WorkerSettings,
  WorkerStart,
} from '../data-plane-api/messages.ts';
import { noMoves } from '../data-plane-api/move-tally.ts';
import { openTable, pulseOf } from '../data-plane-api/routing-table.ts';
import { TableReader } from '../data-plane-api/table-reader.ts';
import { Pulse } from '../engine/pulse.ts';
import { type UpstreamTls, verifying } from '../engine/tls.ts';
import { Bans } from '../policy/admission/bans.ts';
import { createConnectionLimiter } from '../policy/admission/connection-limiter.ts';
import { compileRules } from '../policy/routing/rules.ts';
import { compileNetworks } from '../protocol/address/networks.ts';
import { createHttpHost, createHttpPool, type HttpContext, type HttpPlace } from './http-listener-host.ts';
import { HttpListener } from './listener.ts';
import { NodeAgents } from './node-agents.ts';

/**
 * The HTTP thread: every `http` and `https` listener, apart from the control plane and from the threads that carry MQTT.
 * It understands the commands of a data thread (`data-plane-api/messages.ts`); there is no session here to be listed or moved.
 */

const start = workerData as WorkerStart;
const report = (message: Report): void => parentPort?.postMessage(message);
const faults = createFaults(report);
guardThread(faults, systemClock.now, () => process.exit(1));

/** Counts go to the main thread this often, and signs of life. */
const COUNT_MS = 200;
const SWEEP_MS = 10_000;

const memory = openTable(start.table, start.tableThreads);
const table = new TableReader(memory, start.thread);
const pulse = new Pulse(pulseOf(memory, start.thread));
const events = new EventBatch(
  (task) => void setImmediate(task),
  (batch) => report({ type: 'events', events: batch }),
  () => table.count('eventsDropped', 1),
  systemClock.now,
);
const balancer = new Balancer(table, strategiesOf(start.settings), systemRandom);
const counts = new Map<number, number>();
/** How nodes are reached by TLS, by the number of the pool. */
const linkTls: UpstreamTls[] = [];
const context: HttpContext = {
  ...choicesBy(start.settings),
  bans: new Bans(start.bans),
  table,
  now: systemClock.now,
  tell: (event) => events.add(event),
  count(listener, status) {
    const key = listener * 1000 + status;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  },
  fault: (error) => faults.tell('a connection', error),
};
const departures = new Departures(systemRandom);
const agents = new NodeAgents(start.settings.limits.http.maxHeadBytes, systemClock.now);
/** By their numbers. */
const places = new Map<number, HttpPlace & { readonly listener: HttpListener }>();

function choicesBy({ limits, pools, upstreamTls, rules, tellsRequests = false }: WorkerSettings) {
  const all = pools.map((pool, number) => {
    const tls = upstreamTls[number] ?? verifying;
    // Connections to nodes are kept as long as this is the same object.
    if (!isDeepStrictEqual(tls, linkTls[number])) linkTls[number] = tls;
    return pool && createHttpPool(pool, number, balancer, linkTls[number] ?? tls);
  });
  return { limits, pools: all, decide: compileRules(rules), tellsRequests };
}

function placeOf(settings: ListenerSettings): HttpPlace {
  const limiter = createConnectionLimiter(start.limiter, start.thread, settings.index, {
    ...context.limits.limiter,
    ...settings.limits,
  });
  const { trustedProxies = [], proxyProtocol } = settings;
  // With PROXY protocol it is the proxy's header that is believed, and the address is the device's own.
  const trusted = compileNetworks(proxyProtocol === undefined ? trustedProxies : []);
  return { settings, limiter, isTrusted: (address) => trusted.has(address) };
}

async function listen({ request, listeners: added }: Extract<Command, { type: 'listen' }>): Promise<void> {
  const isNew = added.filter(({ index }) => !places.has(index));
  const undo = (): void => {
    unlisten(added.map(({ index }) => index));
    for (const { index } of isNew) endAll(index);
  };
  report(await answerListen(request, added, added.map(begin), undo));
}

async function begin(settings: ListenerSettings) {
  return receive(settings).listen(settings);
}

/** A listener that is bound again, because a reload was refused, still has its connections. */
function receive(settings: ListenerSettings): HttpListener {
  const known = applySettings(settings);
  if (known !== undefined) return known;
  const place = placeOf(settings);
  const listener = new HttpListener(createHttpHost(context, place), agents, settings);
  places.set(settings.index, Object.assign(place, { listener }));
  return listener;
}

/** @throws BreakwaterError TLS_INVALID */
function applySettings(settings: ListenerSettings): HttpListener | undefined {
  const place = places.get(settings.index);
  if (place === undefined) return undefined;
  Object.assign(place, placeOf(settings));
  place.listener.applySettings(settings);
  return place.listener;
}

function unlisten(indexes: readonly number[]): void {
  for (const index of indexes) places.get(index)?.listener.unlisten();
}

function endAll(only: number | undefined): void {
  for (const [index, { listener }] of places) {
    if (only !== undefined && only !== index) continue;
    listener.close();
    places.delete(index);
  }
}

/** As when the proxy stops: an answer that is under way is finished. */
function endBanned(bans: Bans): void {
  if (bans.size === 0) return;
  for (const { listener } of places.values())
    for (const client of listener.clients)
      if (bans.find({ sourceAddress: client.address }, Date.now()) !== undefined) client.end();
}

function applyAll({ request, settings, listeners }: Extract<Command, { type: 'settings' }>): void {
  try {
    balancer.use(strategiesOf(settings));
    agents.maxHeadBytes = settings.limits.http.maxHeadBytes;
    Object.assign(context, choicesBy(settings));
    for (const listener of listeners) applySettings(listener)?.open();
    report({ type: 'done', request });
  } catch (error) {
    report({ type: 'failed', request, ...failureOf(error) });
  }
}

function updateTls({ listener, tls }: Extract<Command, { type: 'updateTls' }>): string | undefined {
  try {
    places.get(listener)?.listener.updateTls(tls);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function flushCounts(): void {
  for (const [key, count] of counts) {
    events.add({ type: 'requests', listener: Math.floor(key / 1000), status: key % 1000, count });
  }
  counts.clear();
}

setInterval(() => {
  pulse.beat(systemClock.now());
  flushCounts();
}, COUNT_MS).unref();
setInterval(() => agents.sweep(), SWEEP_MS).unref();

async function close(): Promise<void> {
  endAll(undefined);
  await agents.close();
  flushCounts();
  events.flush();
  process.exit(0); // in a Worker this ends the thread, not the process
}

function carryOut(command: Command): unknown {
  switch (command.type) {
    case 'listen':
      return listen(command);
    case 'unlisten':
      unlisten(command.listeners);
      return report({ type: 'done', request: command.request });
    case 'settings':
      return applyAll(command);
    case 'leave':
    case 'stop':
      for (const { listener } of places.values()) listener.leave();
      return;
    case 'dismiss': {
      const crews = Array.from(places.values(), ({ settings, listener }) => ({
        ...{ listener: settings, open: listener.clients },
      }));
      const { request, ...order } = command;
      return report({ type: 'dismissed', request, ...departures.take(order, crews) });
    }
    case 'listening': {
      const listeners = Array.from(places, ([index, { listener }]) => ({
        ...{ index, descriptors: listener.descriptors },
      }));
      return report({ type: 'descriptors', request: command.request, listeners });
    }
    case 'bans':
      return endBanned(context.bans.change(command));
    case 'endAll':
      return endAll(command.listener);
    case 'close':
      return close();
    case 'clients':
      return report({
        type: 'clients',
        request: command.request,
        answer: { clients: [], total: 0, behind: 0 },
      });
    case 'move':
    case 'moveSome':
      return report({ type: 'moved', request: command.request, tally: noMoves });
    case 'kick':
      return report({ type: 'kicked', request: command.request, count: 0 });
    case 'updateTls':
      return report({ type: 'tlsUpdated', request: command.request, problem: updateTls(command) });
    default: // the others are about MQTT sessions
  }
}

parentPort?.on('message', (command: Command) => faults.carryOut(command, carryOut));

report({ type: 'ready', wakeFd: undefined });
