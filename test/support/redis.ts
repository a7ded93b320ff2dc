import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';
import type { Spawned } from './process.ts';
import { accepts, start, temporaryDirectory } from './process.ts';
import { until } from './wait.ts';

export interface RedisServer {
  readonly port: number;
  /** `redis://127.0.0.1:port` */
  readonly url: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
  /** Starts again on the same port, empty. */
  restart(): Promise<void>;
}

/** A real Redis on a free port of the loopback, in memory only. */
export async function startRedis(extraArgs: readonly string[] = []): Promise<RedisServer> {
  const port = await freePort();
  const directory = temporaryDirectory();
  const run = async (): Promise<Spawned> => {
    const base = [
      '--port',
      `${port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'no',
    ];
    const server = start('redis-server', [...base, ...extraArgs]);
    await accepts(port, server);
    return server;
  };
  let server = await run();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return server.pid;
    },
    kill: (signal) => server.kill(signal),
    stop: () => server.stop(),
    async restart() {
      await server.stop();
      server = await run();
    },
  };
}

/** One command over a connection of its own. */
export async function redisCommand(
  url: string,
  command: string,
  ...args: (string | number)[]
): Promise<unknown> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => {}); // connect() rejects too
  try {
    await redis.connect();
    return await redis.call(command, ...args);
  } finally {
    redis.disconnect();
  }
}

export interface RedisWithSentinel {
  /** `redis+sentinel://127.0.0.1:port/main` */
  readonly url: string;
  readonly master: RedisServer;
  readonly replica: RedisServer;
}

/** A master with a replica in step, and a sentinel that fails over quickly. */
export async function startRedisWithSentinel(): Promise<RedisWithSentinel> {
  const master = await startRedis(['--repl-diskless-sync-delay', '0']);
  const replica = await startRedis(['--replicaof', '127.0.0.1', `${master.port}`]);
  await until(
    async () => `${await redisCommand(replica.url, 'INFO', 'replication')}`.includes('master_link_status:up'),
    'the replica to be in step',
  );
  const port = await freePort();
  const file = join(temporaryDirectory(), 'sentinel.conf');
  const monitor = [
    `port ${port}`,
    'bind 127.0.0.1',
    `sentinel monitor main 127.0.0.1 ${master.port} 1`,
    'sentinel down-after-milliseconds main 500',
    'sentinel failover-timeout main 3000',
  ];
  writeFileSync(file, `${monitor.join('\n')}\n`);
  await accepts(port, start('redis-sentinel', [file]));
  const sentinel = `redis://127.0.0.1:${port}`;
  await until(
    async () => ((await redisCommand(sentinel, 'SENTINEL', 'replicas', 'main')) as unknown[]).length === 1,
    'the sentinel to know the replica',
  );
  return { url: `redis+sentinel://127.0.0.1:${port}/main`, master, replica };
}

export interface RedisClusterServers {
  /** `redis+cluster://127.0.0.1:port,127.0.0.1:port,127.0.0.1:port` */
  readonly url: string;
  readonly masters: readonly RedisServer[];
}

/** A Redis Cluster of three masters without replicas. */
export async function startRedisCluster(): Promise<RedisClusterServers> {
  const buses = [await freePort(), await freePort(), await freePort()];
  const masters = await Promise.all(
    buses.map((bus) => startRedis(['--cluster-enabled', 'yes', '--cluster-port', `${bus}`])),
  );
  const last = 16_383;
  const bounds = [0, 5_461, 10_923, last + 1];
  for (const [i, { url }] of masters.entries()) {
    const [from, to] = [bounds[i] as number, (bounds[i + 1] as number) - 1];
    await redisCommand(url, 'CLUSTER', 'ADDSLOTSRANGE', from, to);
    await redisCommand(url, 'CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    const { port } = masters[0] as RedisServer;
    if (i > 0) await redisCommand(url, 'CLUSTER', 'MEET', '127.0.0.1', port, buses[0] as number);
  }
  for (const { url } of masters) {
    await until(async () => {
      const info = `${await redisCommand(url, 'CLUSTER', 'INFO')}`;
      return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3');
    }, 'the Redis Cluster to be complete');
  }
  return { url: `redis+cluster://${masters.map(({ port }) => `127.0.0.1:${port}`).join(',')}`, masters };
}

/** A Redis behind TLS with a certificate that only its own CA file vouches for. */
export async function startRedisTls(): Promise<{ url: string; ca: string }> {
  const directory = temporaryDirectory();
  const [key, ca] = [join(directory, 'redis.key'), join(directory, 'redis.crt')];
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
  ];
  const subject = ['-subj', '/CN=redis', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', [...request, ...subject, '-keyout', key, '-out', ca], { stdio: 'ignore' });
  const tlsPort = await freePort();
  const files = ['--tls-cert-file', ca, '--tls-key-file', key, '--tls-ca-cert-file', ca];
  await startRedis(['--tls-port', `${tlsPort}`, '--tls-auth-clients', 'no', ...files]);
  return { url: `rediss://127.0.0.1:${tlsPort}`, ca };
}
