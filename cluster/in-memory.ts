import aedesMemory from 'aedes-persistence';
import type { MQEmitter } from 'mqemitter';
import mqemitter from 'mqemitter';
import type { Cluster } from './cluster.ts';

type Listener = Parameters<MQEmitter['on']>[1];

interface Will {
  brokerId?: string;
}
interface Persistence {
  putWill(client: object, will: Will): Promise<void>;
  getWill(client: object): Promise<Will | undefined>;
  delWill(client: object): Promise<Will | undefined>;
}

/**
 * A cluster of brokers inside one process: one message bus and one store for all of them.
 * Nothing survives the process, and queues of offline sessions are not bounded: for demos and tests.
 */
export function inMemoryCluster(): Cluster {
  // No limit on concurrency: aedes closes a client, and so publishes its will, from inside a bus listener; with a
  // limit that wait could be for itself. A publisher is held back anyhow until its message is delivered.
  const bus = mqemitter({ concurrency: 0, matchEmptyLevels: true }); // [MQTT-4.7.1-3]
  const store = (aedesMemory as unknown as () => Persistence)(); // its types describe a class, it exports a factory
  return {
    join: async () => ({
      mq: endOf(bus),
      persistence: viewOf(store),
      caughtUp: async () => {},
      leave: async () => {},
    }),
  };
}

/** One broker's end of the bus: closing it takes away this broker's listeners and leaves the others theirs. */
function endOf(bus: MQEmitter): MQEmitter {
  const listeners = new Map<Listener, string>(); // aedes makes one function for each subscription
  let closed = false;
  const end = {
    on(topic: string, listener: Listener, done?: () => void) {
      listeners.set(listener, topic);
      bus.on(topic, listener, done);
      return end;
    },
    removeListener(topic: string, listener: Listener, done?: () => void) {
      listeners.delete(listener);
      bus.removeListener(topic, listener, done);
    },
    emit(message: Parameters<MQEmitter['emit']>[0], done?: (error?: Error) => void) {
      if (closed) done?.(new Error('the broker is closed'));
      else bus.emit(message, done);
    },
    close(done: () => void) {
      closed = true;
      for (const [listener, topic] of listeners) bus.removeListener(topic, listener);
      listeners.clear();
      setImmediate(done);
    },
  };
  return end as unknown as MQEmitter;
}

/**
 * One broker's view of the store. The store remembers one broker only, the last that was set up, and would sign
 * every will with its id; then the end of that one broker would publish the wills of devices that are alive.
 */
function viewOf(store: Persistence): object {
  let brokerId: string | undefined;
  return Object.assign(Object.create(store), {
    async setup(broker: { id: string }) {
      brokerId = broker.id;
      await (store as unknown as { setup(broker: object): Promise<void> }).setup(broker);
    },
    async putWill(client: object, will: Will) {
      await store.putWill(client, will);
      if (brokerId !== undefined) will.brokerId = brokerId; // the store keeps this very object
    },
    /** Not the one that the same device has at another broker by now. */
    async delWill(client: { readonly brokerId?: string }) {
      const will = await store.getWill(client);
      return will?.brokerId === (client.brokerId ?? brokerId) ? store.delWill(client) : undefined;
    },
  });
}
