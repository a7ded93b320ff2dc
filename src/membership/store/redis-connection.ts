import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { messageOf } from '../../base/errors.ts';
import type { Script } from './redis-script.ts';
import { type RedisTarget, withoutSecrets } from './redis-target.ts';

/** One connection to Redis, which ends for good: whoever wants another, opens another. */
export interface RedisConnection {
  /** Resolves when it is connected and subscribed; rejects with what went wrong, without secrets. */
  readonly ready: Promise<void>;
  /** Rejects with what Redis or the network said, without secrets. */
  evaluate(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  publish(channel: string, text: string): Promise<unknown>;
  close(): void;
}

export interface ConnectionOptions {
  readonly target: RedisTarget;
  /** Shown by Redis in CLIENT LIST. */
  readonly name: string;
  readonly timeoutMs: number;
  /** Counts attempts, so that each begins with another of several hosts. */
  readonly attempt: number;
  readonly channels: readonly string[];
  onMessage(channel: string, text: string): void;
  onEnd(cause: string): void;
}

const PROTECTED =
  'it is in protected mode, and takes connections of its own machine only: give it a password, or protected-mode no';
/** How long a closed connection waits for the other side to close too, before the socket is destroyed. */
const DISCONNECT_MS = 100;

/**
 * RESP3 carries messages and replies over one connection, so what shows that one arrives shows it of the other (a
 * Redis Cluster subscribes over another one). ioredis is told to repeat and to queue nothing: a command that was not
 * answered fails, and its sender decides; reconnecting is up to `redis-link.ts`, so that single servers, sentinels and
 * clusters come back in one way.
 */
export function openConnection(options: ConnectionOptions): RedisConnection {
  const { target } = options;
  let cause: string | undefined;
  const plain = (error: unknown): string => {
    const text = messageOf(error);
    // ioredis fell back to RESP2, where a subscribed connection takes no commands.
    if (text.includes('subscriber mode')) return 'it is older than Redis 6, which is needed';
    return withoutSecrets(text, target);
  };
  const client = target.kind === 'cluster' ? clusterClient(options) : singleClient(options);
  const note = (error: unknown): void => {
    cause ??= plain(error);
  };
  if (client instanceof Redis) hearRefusal(client, note);
  client.on('error', note);
  client.on('node error', note);
  client.on('sentinelError', note);
  client.on('message', options.onMessage);
  client.on('end', () => options.onEnd(cause ?? 'the connection was closed'));

  async function tell<T>(reply: Promise<T>): Promise<T> {
    try {
      return await reply;
    } catch (error) {
      // ioredis errors carry the command with its arguments: AUTH among them. Only the text goes on.
      throw new Error(plain(error));
    }
  }

  async function connect(): Promise<void> {
    try {
      await client.connect();
      await client.subscribe(...options.channels);
    } catch (error) {
      throw new Error(cause ?? plain(error)); // connect() itself only knows that the connection was closed
    }
  }

  return {
    ready: connect(),
    evaluate: ({ lua, sha }, keys, args) =>
      tell(
        client.evalsha(sha, keys.length, ...keys, ...args).catch((error: unknown) => {
          if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
          return client.eval(lua, keys.length, ...keys, ...args);
        }),
      ),
    publish: (channel, text) => tell(client.publish(channel, text)),
    close: () => client.disconnect(),
  };
}

/**
 * A Redis in protected mode refuses whoever comes from another machine, before a word is said, in a text that ioredis takes for a
 * remark about passwords: it prints that remark, and goes on to a connection that is closed.
 */
function hearRefusal(client: Redis, note: (error: Error) => void): void {
  const hello = client.hello.bind(client) as (words: unknown) => Promise<unknown>;
  const heard = async (words: unknown): Promise<unknown> => {
    try {
      return await hello(words);
    } catch (error) {
      if (!messageOf(error).startsWith('DENIED')) throw error;
      const refusal = new Error(PROTECTED);
      note(refusal); // it is closed too soon for ioredis to tell
      throw refusal;
    }
  };
  Object.assign(client, { hello: heard });
}

function singleClient({ target, name, timeoutMs, attempt }: ConnectionOptions): Redis {
  const common: RedisOptions = {
    ...commonOptions(target, name, timeoutMs),
    db: target.db,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  };
  const hosts = rotated(target.hosts, attempt);
  if (target.kind === 'single') return new Redis({ ...common, ...hosts[0] });
  return new Redis({
    ...common,
    sentinels: hosts,
    name: target.master,
    sentinelUsername: target.sentinelUsername,
    sentinelPassword: target.sentinelPassword,
    sentinelCommandTimeout: timeoutMs,
    sentinelRetryStrategy: () => null,
    enableTLSForSentinelMode: target.tls !== undefined,
    sentinelTLS: target.tls,
    enableReadyCheck: true, // asks for the role: the master that sentinels name may be none any more
  });
}

function clusterClient({ target, name, timeoutMs, attempt }: ConnectionOptions): Cluster {
  return new Cluster(rotated(target.hosts, attempt), {
    lazyConnect: true,
    enableReadyCheck: false,
    slotsRefreshTimeout: timeoutMs,
    clusterRetryStrategy: () => null,
    // Certificates name hosts, not addresses.
    ...(target.tls && {
      dnsLookup: (host: string, done: (error: null, address: string) => void) => done(null, host),
    }),
    redisOptions: commonOptions(target, name, timeoutMs),
  });
}

function commonOptions({ username, password, tls }: RedisTarget, name: string, timeoutMs: number) {
  return {
    username,
    password,
    tls,
    protocol: 3,
    connectionName: name,
    disableClientInfo: true,
    enableReadyCheck: false, // a Redis that still loads refuses the first command, and is tried again
    connectTimeout: timeoutMs,
    disconnectTimeout: DISCONNECT_MS,
  } as const;
}

function rotated<T>(list: readonly T[], by: number): T[] {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
