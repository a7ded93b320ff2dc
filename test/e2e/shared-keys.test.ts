import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { createNodeMarks, deriveMarkKey } from '../../src/policy/cookie-affinity/node-mark.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { startProxy } from '../support/cluster.ts';
import { atEnd } from '../support/process.ts';
import { type RedisServer, redisCommand, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** Keys that the proxies of a cluster make themselves: of the cookies that name nodes, and of TLS session tickets. */

let root: Authority;
let server: Issued;
let nodes: readonly { readonly id: string; readonly url: string }[];

/** A node that says which one it is. */
async function startNode(id: string): Promise<{ id: string; url: string }> {
  const http = createServer((_request, response) => response.end(id)).listen(0, '127.0.0.1');
  await once(http, 'listening');
  atEnd(() => http.close());
  return { id, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

beforeAll(async () => {
  root = createAuthority('root');
  server = root.issue({ cn: 'one', names: 'IP:127.0.0.1' });
  nodes = await Promise.all(['web-1', 'web-2', 'web-3'].map(startNode));
});

function start(
  redis: RedisServer | undefined,
  id: string,
  secret?: string,
  engine = 'auto',
): Promise<Breakwater> {
  const config = {
    proxy: { id, engine, threads: 1 },
    listeners: [
      { url: 'http://127.0.0.1:0', pool: 'web' },
      { url: 'mqtts://127.0.0.1:0', pool: 'default', tls: { cert: server.certFile, key: server.keyFile } },
    ],
    pools: {
      web: { strategy: 'round-robin', persistence: { by: 'cookie' }, nodes },
      default: { nodes: [{ id: 'n1', url: 'mqtt://127.0.0.1:1' }] },
    },
  };
  const membership = secret === undefined ? {} : { secret };
  return startProxy(redis ?? { url: '' }, id, {
    ...config,
    membership: redis === undefined ? { store: 'memory', url: undefined } : membership,
  });
}

/** Which node answers, and the cookie that came with it. */
async function ask(proxy: Breakwater, cookie?: string): Promise<{ node: string; cookie: string }> {
  const answer = await fetch(`http://127.0.0.1:${proxy.ports[0]}/`, { headers: cookie ? { cookie } : {} });
  const [set = ''] = answer.headers.getSetCookie();
  return { node: await answer.text(), cookie: set.split(';')[0] ?? '' };
}

/** Whether each of some requests with this cookie goes to that node; by chance one in three does. */
async function isBound(proxy: Breakwater, cookie: string, node: string): Promise<boolean> {
  for (let time = 0; time < 6; time++) if ((await ask(proxy, cookie)).node !== node) return false;
  return true;
}

function sessionAt(
  { ports: [, port] }: Breakwater,
  session?: Buffer,
): Promise<{ session: Buffer; isReused: boolean }> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, ca: root.cert, maxVersion: 'TLSv1.2', session } as const;
    const socket = connectTls(options, () => {
      resolve({ session: socket.getSession() as Buffer, isReused: socket.isSessionReused() });
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

const said = (proxy: Breakwater) => proxy.logs().find(({ msg }) => msg === 'ticket keys of TLS are made');

describe('without a secret in the configuration', () => {
  let redis: RedisServer;
  let p1: Breakwater;
  let p2: Breakwater;

  beforeAll(async () => {
    redis = await startRedis();
    [p1, p2] = await Promise.all([start(redis, 'p1'), start(redis, 'p2')]);
  });

  test('a cookie can be neither read nor made by who knows the names of cluster and pool', async () => {
    const { node, cookie } = await ask(p1);
    const byNames = createNodeMarks(deriveMarkKey('', 'default', 'web'));
    expect(byNames.open(cookie.split('=')[1] ?? '')).toBeUndefined();
    expect(Buffer.from(cookie.split('=')[1] ?? '', 'base64url').toString('latin1')).not.toContain(node);
    expect(await isBound(p1, `breakwater=${byNames.seal('web-2')}`, 'web-2')).toBe(false);
  });

  test('TLS sessions are resumed at the proxy that has them only, and the log says so', async () => {
    const { session } = await sessionAt(p1);
    expect([(await sessionAt(p1, session)).isReused, (await sessionAt(p2, session)).isReused]).toEqual([
      ...[true, false],
    ]);
    expect(said(p1)).toMatchObject({ of: 'this proxy', remedy: 'membership.secret shares them' });
    expect(await redisCommand(redis.url, 'HKEYS', '{breakwater:default}:shared')).toEqual(['cookie-secret']);
  });

  test('all proxies read a cookie of one of them, also one that starts later, and after a Redis that lost all', async () => {
    const { node, cookie } = await ask(p1);
    expect([await isBound(p1, cookie, node), await isBound(p2, cookie, node)]).toEqual([true, true]);
    await redisCommand(redis.url, 'FLUSHALL');
    const there = () => redisCommand(redis.url, 'HGET', '{breakwater:default}:shared', 'cookie-secret');
    await until(there, 'the secret to be back', 30_000);
    const p3 = await start(redis, 'p3');
    expect(await isBound(p3, cookie, node)).toBe(true);
  });

  test('with the memory store the secret is the process’s own', async () => {
    const alone = await start(undefined, 'p1');
    const { node, cookie } = await ask(alone);
    expect([await isBound(alone, cookie, node), await isBound(p1, cookie, node)]).toEqual([true, false]);
    const byNames = createNodeMarks(deriveMarkKey('', 'default', 'web'));
    expect(byNames.open(cookie.split('=')[1] ?? '')).toBeUndefined();
  });
});

describe.each(['auto', 'node'])('with a secret in the configuration (engine %s)', (engine) => {
  test('cookies are by it, and TLS sessions are resumed at every proxy', async () => {
    const redis = await startRedis();
    const secret = 'a secret of the cluster';
    const run = (id: string) => start(redis, id, secret, engine);
    const [p1, p2] = await Promise.all([run('p1'), run('p2')]);
    const { node, cookie } = await ask(p1);
    expect(await isBound(p2, cookie, node)).toBe(true);
    expect(said(p1)).toMatchObject({ of: 'all proxies of the cluster' });
    await until(
      async () => {
        const { session } = await sessionAt(p1);
        return (await sessionAt(p2, session)).isReused;
      },
      'the keys to be shared',
      30_000,
    );
    const kept = await redisCommand(redis.url, 'HGETALL', '{breakwater:default}:shared');
    expect((kept as string[])[0]).toBe('ticket-keys');
    expect(kept).toHaveLength(2);
  });
});
