import { parentPort, workerData } from 'node:worker_threads';
import { createDoor } from '../admission/door.ts';
import { strategies } from '../balance/index.ts';
import type { EndReason } from '../connection/world.ts';
import { createEngine } from '../engine/create.ts';
import { BreakwaterError, messageOf } from '../errors.ts';
import { compileRules } from '../routing/rules.ts';
import { systemClock, systemRandom } from '../time.ts';
import { createBalancer } from './balancer.ts';
import { EventBatch } from './event-batch.ts';
import type {
  ClientAnswer,
  ClientFilter,
  Command,
  ListenerSettings,
  MoveTally,
  Report,
  ThreadStart,
} from './messages.ts';
import { addTallies } from './move-tally.ts';
import { createNodeWatch } from './node-watch.ts';
import { createPacer } from './pacer.ts';
import { createPoolRoute } from './pool-route.ts';
import { Recalls } from './recalls.ts';
import { openTable, TableReader } from './routing-table.ts';
import { ListenerWorld, type ThreadContext } from './thread-world.ts';

/** A data thread: one engine, and the connections that it carries. Runs as a Worker; started by `threads.ts`. */

const start = workerData as ThreadStart;
const { settings } = start;
const report = (message: Report): void => parentPort?.postMessage(message);

const table = new TableReader(openTable(start.table, start.threads), start.thread);
const events = new EventBatch(
  (task) => engine.defer(task),
  (batch) => report({ type: 'events', events: batch }),
  () => table.count('eventsDropped', 1),
  systemClock.now,
);
const balancer = createBalancer(
  table,
  settings.pools.map((pool) => strategies[pool.strategy]),
  systemRandom,
);
const context: ThreadContext = {
  limits: settings.limits,
  routes: settings.pools.map((pool, index) =>
    createPoolRoute(pool, index, balancer, settings.recallTimeoutMs),
  ),
  pacer: createPacer(systemClock.now, systemRandom),
  owners: new Map(),
  threads: start.threads,
  isShared: settings.isShared,
  random: systemRandom,
  recalls: new Recalls((event) => events.add(event)),
  table,
  decide: compileRules(settings.rules),
  now: systemClock.now,
  tell: (event) => events.add(event),
  verbose: true,
};
const worlds: ListenerWorld[] = [];
const nodeWatch = createNodeWatch(systemClock.now, systemRandom);
const engine = createEngine(start.engine, {
  accept: (wire, peer, listener) => worlds[listener]?.accept(wire, peer),
  highWaterBytes: settings.limits.highWaterBytes,
  onFault: (error) =>
    report({
      type: 'fault',
      message: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    }),
});

async function listen(listeners: readonly ListenerSettings[]): Promise<void> {
  try {
    for (const listener of listeners) {
      const door = createDoor(start.door, start.thread, listener.index, settings.limits.door);
      worlds[listener.index] = new ListenerWorld(context, listener, door);
    }
    const addresses = await Promise.all(listeners.map((listener) => engine.listen(listener)));
    report({ type: 'listening', addresses });
  } catch (error) {
    const code = error instanceof BreakwaterError ? error.code : 'INTERNAL';
    report({ type: 'failed', code, message: messageOf(error) });
  }
}

function endAll(reason: EndReason): void {
  for (const world of worlds) world.endAll(reason);
}

function moveSome({ node, count, cause, to }: Extract<Command, { type: 'moveSome' }>): MoveTally {
  const tallies: MoveTally[] = [];
  let left = count;
  for (const world of worlds) {
    const tally = world.moveSome(node, left, cause, to);
    left -= tally.moving + tally.noNode + tally.ended;
    tallies.push(tally);
  }
  return addTallies(tallies);
}

function clients(filter: ClientFilter): ClientAnswer {
  const answers = worlds.map((world) => world.clients(filter));
  return {
    clients: answers.flatMap((answer) => answer.clients).slice(0, filter.limit),
    total: answers.reduce((sum, answer) => sum + answer.total, 0),
  };
}

function exit(): void {
  events.flush();
  process.exit(0); // in a Worker this ends the thread, not the process
}

parentPort?.on('message', (command: Command) => {
  switch (command.type) {
    case 'listen':
      return void listen(command.listeners);
    case 'stop':
      return engine.stopAccepting();
    case 'endAll':
      return endAll(command.reason);
    case 'close':
      return void engine.close().then(exit);
    case 'verbose':
      context.verbose = command.on;
      return;
    case 'clients':
      return report({ type: 'clients', request: command.request, answer: clients(command.filter) });
    case 'watch':
      return nodeWatch.look(
        worlds.flatMap((world) => [...world.open]),
        command.unhealthy,
      );
    case 'superseded':
      return context.owners.get(command.clientId)?.end('taken-over');
    case 'moveSome':
      return report({ type: 'moved', request: command.request, tally: moveSome(command) });
    case 'move': {
      const tallies = worlds.map((world) => world.move(command.clientId, command.to));
      return report({ type: 'moved', request: command.request, tally: addTallies(tallies) });
    }
    case 'recalled':
      return context.recalls.answered(command.request, command.node);
    case 'kick': {
      const count = worlds.reduce((sum, world) => sum + world.kick(command.clientId), 0);
      return report({ type: 'kicked', request: command.request, count });
    }
  }
});

report({ type: 'ready', wakeFd: engine.wakeFd });
