import { Readable } from 'node:stream';
import type { MQEmitter } from 'mqemitter';
import mqemitter from 'mqemitter';
import { messageOf } from '../src/base/errors.ts';
import type { Cluster, Membership } from './cluster.ts';

/**
 * A cluster of processes that one parent has started: the parent keeps the bus and the store (`inMemoryCluster`), and each
 * child reaches them over the channel between the two. So a broker can be killed like any process, and what devices were
 * promised is with the parent. For demos: nothing survives the parent.
 *
 * What a child asks is a `Call`, answered once and in the order of asking for what takes no time. A message of the bus
 * comes as a `News`, once for each child that has a listener for it.
 */

type Packet = Parameters<MQEmitter['emit']>[0];
type Listener = Parameters<MQEmitter['on']>[1];

interface Call {
  readonly call: number;
  readonly method: string;
  readonly args: readonly unknown[];
}
interface Answer {
  readonly answer: number;
  readonly value?: unknown;
  readonly error?: string;
}
interface News {
  readonly news: Packet;
}

/** The child, as its parent sees it: a `ChildProcess` that `fork` made with `serialization: 'advanced'`. */
interface ChildEnd {
  readonly connected: boolean;
  send(message: Answer | News, sent: () => void): unknown;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  once(event: 'exit', listener: () => void): unknown;
}

/** The parent, as the child sees it: its `process`. */
interface ParentEnd {
  send?(message: Call, handle: undefined, options: undefined, sent: (failure: Error | null) => void): unknown;
  on(event: 'message', listener: (message: Answer | News) => void): unknown;
}

/** What aedes does with a persistence; the first argument of most is a client. */
const QUESTIONS = [
  ...['storeRetained', 'addSubscriptions', 'removeSubscriptions', 'subscriptionsByClient'],
  ...['subscriptionsByTopic', 'cleanSubscriptions', 'outgoingEnqueue', 'outgoingEnqueueCombi'],
  ...['outgoingUpdate', 'outgoingClearMessageId', 'incomingStorePacket', 'incomingGetPacket'],
  ...['incomingDelPacket', 'cleanIncoming', 'putWill', 'delWill'],
];
/** Those that give many values. */
const STREAMS = ['createRetainedStreamCombi', 'createRetainedStream', 'outgoingStream', 'streamWill'];

/** Messages that may wait for a child that reads none, before it is given up. */
const MAX_WAITING = 10_000;

/**
 * Answers one child, until it ends.
 * @param membership the child's ends of what is shared
 * @param onBehind the child has not read for long: it stands still, and should be ended
 */
export function serveChild(child: ChildEnd, membership: Membership, onBehind: () => void): void {
  const { mq } = membership;
  const store = membership.persistence as Record<string, (...args: unknown[]) => unknown>;
  const listeners = new Map<string, Listener>();
  let waiting = 0;
  let last: Packet | undefined;

  const send = (message: Answer | News) => {
    if (!child.connected) return;
    waiting += 1;
    if (waiting === MAX_WAITING) onBehind();
    child.send(message, () => {
      waiting -= 1; // also where it failed: the child is gone
    });
  };
  const tell: Listener = (packet, done) => {
    // The bus tells all listeners of one message before it begins the next.
    if (packet !== last) send({ news: withoutFunctions(packet) });
    last = packet;
    done(); // nobody waits for a child that stands still
  };
  const onBus: Record<string, (argument: never) => Promise<void>> = {
    emit: (packet: Packet) => new Promise((resolve) => mq.emit(packet, () => resolve())),
    listen(topic: string) {
      const listener: Listener = (packet, done) => tell(packet, done);
      listeners.set(topic, listener);
      return new Promise((resolve) => mq.on(topic, listener, resolve));
    },
    unlisten(topic: string) {
      const listener = listeners.get(topic);
      listeners.delete(topic);
      if (listener === undefined) return Promise.resolve();
      return new Promise((resolve) => mq.removeListener(topic, listener, resolve));
    },
    caughtUp: async () => {},
  };

  async function answer({ method, args }: Call): Promise<unknown> {
    const bus = Object.hasOwn(onBus, method) ? onBus[method] : undefined;
    if (bus !== undefined) return bus(args[0] as never);
    if (method === 'setup' || QUESTIONS.includes(method)) return store[method]?.(...args);
    if (STREAMS.includes(method)) return collect(store[method]?.(...args) as AsyncIterable<unknown>);
    throw new Error(`no method ${method}`);
  }

  child.on('message', (message) => {
    if (!isCall(message)) return;
    answer(message).then(
      (value) => send({ answer: message.call, value: plain(value) }),
      (error: unknown) => send({ answer: message.call, error: messageOf(error) }),
    );
  });
  child.once('exit', () => mq.close(() => {}));
}

/** The cluster of the process that started this one. */
export function clusterOfParent(parent: ParentEnd = process): Cluster {
  return { join: async () => new Child(parent).membership() };
}

class Child {
  private readonly parent: ParentEnd;
  private readonly bus = mqemitter({ concurrency: 0, matchEmptyLevels: true });
  private readonly emitHere = this.bus.emit.bind(this.bus);
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  /** How many listeners each topic has here; the parent knows one. */
  private readonly topics = new Map<string, number>();
  private calls = 0;

  constructor(parent: ParentEnd) {
    this.parent = parent;
    parent.on('message', (message) => {
      if ('news' in message) return this.emitHere(message.news);
      if (!('answer' in message)) return;
      this.waiting.get(message.answer)?.(message);
      this.waiting.delete(message.answer);
    });
  }

  membership(): Membership {
    const store: Record<string, unknown> = {
      // aedes looks whether it is an async function.
      setup: async ({ id }: { id: string }) => this.ask('setup', [{ id }]),
    };
    for (const method of QUESTIONS) store[method] = (...args: unknown[]) => this.ask(method, args);
    for (const method of STREAMS)
      store[method] = (...args: unknown[]) => Readable.from(this.all(method, args));
    return {
      mq: this.end(),
      persistence: store,
      caughtUp: async () => void (await this.ask('caughtUp', [])),
      leave: async () => {},
    };
  }

  /** This process's end of the bus. */
  private end(): MQEmitter {
    const { bus, topics } = this;
    const [listen, unlisten] = [bus.on.bind(bus), bus.removeListener.bind(bus)];
    const ask = (method: string, argument: unknown, done?: (error?: Error) => void) =>
      void this.ask(method, [argument]).then(() => done?.(), done);
    return Object.assign(bus, {
      on(topic: string, listener: Listener, done?: () => void) {
        const count = (topics.get(topic) ?? 0) + 1;
        topics.set(topic, count);
        listen(topic, listener);
        ask(count === 1 ? 'listen' : 'caughtUp', topic, done); // the parent knows it when the first has been answered
        return bus;
      },
      removeListener(topic: string, listener: Listener, done?: () => void) {
        const count = (topics.get(topic) ?? 1) - 1;
        unlisten(topic, listener);
        if (count > 0) topics.set(topic, count);
        else topics.delete(topic);
        ask(count > 0 ? 'caughtUp' : 'unlisten', topic, done);
      },
      emit: (message: Packet, done?: (error?: Error) => void) => ask('emit', message, done),
    });
  }

  private async *all(method: string, args: readonly unknown[]): AsyncGenerator {
    yield* (await this.ask(method, args)) as unknown[];
  }

  private ask(method: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call = ++this.calls;
      this.waiting.set(call, ({ value, error }) =>
        error === undefined ? resolve(value) : reject(new Error(error)),
      );
      this.parent.send?.({ call, method, args: args.map(plain) }, undefined, undefined, (failure) => {
        if (failure === null || !this.waiting.delete(call)) return;
        reject(failure);
      });
    });
  }
}

async function collect(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

function isCall(message: unknown): message is Call {
  return typeof message === 'object' && message !== null && 'call' in message;
}

/** What the channel can carry of a client, a packet, or a list of them. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  if (!('broker' in value)) return withoutFunctions(value);
  const { id, brokerId, clean } = value as { id?: unknown; brokerId?: unknown; clean?: unknown };
  return { id, brokerId, clean }; // a client, with its socket and its broker
}

function withoutFunctions<T extends object>(value: T): T {
  const entries = Object.entries(value).filter(([, each]) => typeof each !== 'function');
  return Object.fromEntries(entries) as T;
}
