import aedesRedis from 'aedes-persistence-redis';
import { Redis } from 'ioredis';
import type { MQEmitter } from 'mqemitter';
import mqemitterRedis from 'mqemitter-redis';
import { BreakwaterError, messageOf } from '../src/base/errors.ts';
import type { Cluster } from './cluster.ts';

/** Longest wait for one answer of Redis; also bounds the stop of a broker whose Redis hangs. */
const COMMAND_TIMEOUT_MS = 5_000;

/**
 * A cluster of brokers in separate processes: the bus is Redis publish and subscribe, the store is Redis.
 * @param redisUrl `redis://host:port` or `rediss://host:port`
 * @param onError what Redis connections report while the broker runs; they reconnect by themselves
 * @throws BreakwaterError USAGE for any other scheme, such as that of Sentinel
 */
export function redisCluster(redisUrl: string, onError: (error: unknown) => void): Cluster {
  if (!/^rediss?:\/\//.test(redisUrl)) {
    throw new BreakwaterError(
      'USAGE',
      'embedded brokers keep their sessions in a single Redis; write --redis redis://host:6379',
    );
  }
  return {
    async join() {
      const connections = [connection(redisUrl), connection(redisUrl), connection(redisUrl)] as const;
      const [sub, pub, store] = connections;
      let cause: unknown; // connect() itself only tells that the connection is closed
      for (const each of connections) each.once('error', (error) => (cause ??= error));
      try {
        await Promise.all(connections.map((each) => each.connect()));
      } catch (error) {
        for (const each of connections) each.disconnect();
        throw new BreakwaterError(
          'STORE_UNAVAILABLE',
          `cannot reach Redis at ${withoutPassword(redisUrl)}: ${messageOf(cause ?? error)}; start it, or change --redis`,
          { cause: cause ?? error },
        );
      }
      for (const each of connections) each.on('error', onError);
      return {
        mq: busOver(sub, pub, onError),
        persistence: aedesRedis({ conn: store }),
        caughtUp: async () => {
          await sub.ping(); // answered behind every message that Redis has for us
        },
        leave: () => end(store),
      };
    },
  };
}

function connection(redisUrl: string): Redis {
  const redis = new Redis(redisUrl, {
    lazyConnect: true,
    protocol: 2, // what the two aedes packages were written for
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: COMMAND_TIMEOUT_MS,
    maxRetriesPerRequest: 3, // commands do not pile up behind a dead Redis
  });
  redis.on('error', () => {}); // an error without a listener would be written to the console
  return redis;
}

function busOver(sub: Redis, pub: Redis, onError: (error: unknown) => void): MQEmitter {
  // ioredis 6 connections in place of the package's own ioredis 5: one client library, and its errors reach us.
  const bus = mqemitterRedis({
    subConn: hearing(sub),
    pubConn: saying(pub),
  } as never) as unknown as MQEmitter & {
    state: { on(event: 'error', listener: (error: unknown) => void): void };
    _close(done: () => void): void;
  };
  bus.state.on('error', () => {}); // the connections' own listeners report it
  const emit = bus.emit.bind(bus);
  return Object.assign(bus, {
    emit(message: Parameters<MQEmitter['emit']>[0], done?: (error?: Error) => void) {
      emit(message, (error) => {
        if (error) onError(error);
        // A QoS 1 or 2 message that was not stored is not acknowledged: aedes ends the connection, and the device sends
        // it again. A QoS 0 message is lost, as it may be, and its device with it would be one loss more.
        done?.(message.qos === 0 ? undefined : error);
      });
    },
    // The package's own close waits for ever where Redis is away.
    close(done: () => void) {
      Promise.all([end(sub), end(pub)]).then(() => bus._close(done));
    },
  });
}

/**
 * What every channel of the bus begins with. Without it a device that subscribes to `#` would have its node hear all that is said in
 * that Redis, which the package cannot read and dies of; and a device could speak on channels of the proxies.
 */
const CHANNELS = 'mqtt:';

/** As much of a connection as the package uses to hear others. */
function hearing(redis: Redis) {
  const of = (topic: string): string => `${CHANNELS}${topic}`;
  type Done = (error?: Error | null) => void;
  return {
    on: (event: string, listener: (...heard: unknown[]) => void) => redis.on(event, listener),
    subscribe: (topic: string, done: Done) => redis.subscribe(of(topic), done),
    psubscribe: (topic: string, done: Done) => redis.psubscribe(of(topic), done),
    unsubscribe: (topic: string, done: Done) => redis.unsubscribe(of(topic), done),
    punsubscribe: (topic: string, done: Done) => redis.punsubscribe(of(topic), done),
  };
}

/** As much of a connection as the package uses to tell others. */
function saying(redis: Redis) {
  return {
    on: (event: string, listener: (...heard: unknown[]) => void) => redis.on(event, listener),
    publish: (topic: string, message: Buffer) => redis.publish(`${CHANNELS}${topic}`, message),
  };
}

/** Ends a connection after what it was told last; at once where it is not connected. */
async function end(redis: Redis): Promise<void> {
  if (redis.status === 'ready') await redis.quit().catch(() => {});
  redis.disconnect();
}

function withoutPassword(redisUrl: string): string {
  return redisUrl.replace(/\/\/[^@/]*@/, '//');
}
