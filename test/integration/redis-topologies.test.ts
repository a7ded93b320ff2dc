import { expect, test } from 'vitest';
import { messageOf } from '../../src/base/errors.ts';
import { RedisStore, type RedisStoreOptions } from '../../src/membership/store/redis.ts';
import { beat, client, node, Recorder } from '../contract/store.ts';
import { sharedStoreContract } from '../contract/store-shared.ts';
import { atEnd } from '../support/process.ts';
import {
  type RedisClusterServers,
  redisCommand,
  startRedis,
  startRedisCluster,
  startRedisTls,
  startRedisWithSentinel,
} from '../support/redis.ts';
import { until } from '../support/wait.ts';

async function opened(url: string, proxyId = 'one', options: Partial<RedisStoreOptions> = {}) {
  const quick = { heartbeatMs: 100, reconnectDelayMaxMs: 200 };
  const store = new RedisStore({ url, cluster: 'test', proxyId, ...quick, ...options });
  atEnd(() => store.close());
  const heard = new Recorder();
  await store.open(heard);
  return { store, heard };
}

let servers: Promise<RedisClusterServers> | undefined;
let clusters = 0;

sharedStoreContract('Redis Cluster', async () => {
  servers ??= startRedisCluster();
  const { url } = await servers;
  const cluster = `test-${++clusters}`; // other names are other slots: each of the three masters has its turn
  return { store: (proxyId) => new RedisStore({ url, cluster, proxyId, heartbeatMs: 100 }) };
});

test('after a fail-over by a sentinel both proxies go on at the replica, with all that was there', async () => {
  const { url, master } = await startRedisWithSentinel();
  const [one, two] = [await opened(url, 'one'), await opened(url, 'two')];
  await one.store.addNode(node('a'));
  await one.store.beatProxy(beat('one'), 60_000);
  const epoch = await one.store.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, 60_000);
  master.kill('SIGKILL');
  await until(() => one.heard.ups.at(-1) === false, 'the end of the master to be noticed');
  await until(() => one.store.isUp() && two.store.isUp(), 'both stores to be up again', 15_000);
  expect(two.heard.nodeIds()).toEqual(['a']);
  await two.store.addNode(node('b'));
  await until(() => one.heard.nodeIds().join() === 'a,b', 'the new node');
  expect(
    await two.store.claimClient(client('d'), { node: 'b', proxy: 'two', who: 7 }, 60_000),
  ).toBeGreaterThan(epoch);
});

test('over TLS, with a CA of its own', async () => {
  const { url, ca } = await startRedisTls();
  const { store, heard } = await opened(`${url}?ca=${ca}`);
  await store.addNode(node('a'));
  expect(heard.nodeIds()).toEqual(['a']);
});

test('a certificate that nobody vouches for is refused', async () => {
  const { url } = await startRedisTls();
  const { store, heard } = await opened(url, 'one', { connectTimeoutMs: 500 });
  expect(store.isUp()).toBe(false);
  expect(heard.causes).toEqual([expect.stringContaining('self-signed certificate')]);
});

/** Percent-encoded in a URL, with all that could break one. */
const PASSWORD = 's3cret/@:?#';

test('with a password, and database 3', async () => {
  const redis = await startRedis(['--requirepass', PASSWORD]);
  const url = `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${redis.port}/3`;
  const { store, heard } = await opened(url);
  await store.addNode(node('a'));
  expect(heard.nodeIds()).toEqual(['a']);
});

test('as a user that may do no more than it needs', async () => {
  const commands = '+evalsha +eval +publish +subscribe +select +hello +client|setname';
  const inScripts =
    '+time +hget +hset +hsetnx +hdel +hexists +hkeys +hgetall +hmget +zadd +zcard +zscore +zpopmin +get +set +pexpire +type +del';
  const rights = `${commands} ${inScripts} ~{breakwater:test}:* &{breakwater:test}:*`;
  const redis = await startRedis();
  await redisCommand(redis.url, 'ACL', 'SETUSER', 'edge', 'on', `>${PASSWORD}`, ...rights.split(' '));
  const url = `redis://edge:${encodeURIComponent(PASSWORD)}@127.0.0.1:${redis.port}`;
  const [one, two] = [await opened(url, 'one'), await opened(url, 'two')];
  await one.store.beatProxy(beat('one'), 60_000);
  await two.store.beatProxy(beat('two'), 60_000);
  await one.store.addNode(node('a'));
  await until(() => two.heard.nodeIds().join() === 'a', 'the node');
  await one.store.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, 60_000);
  expect(await two.store.recallClient(client('d'))).toMatchObject({ node: 'a' });
  expect((await one.store.ask('?', 60_000)).given).toEqual(new Map([['two', '?']]));
});

test('credentials are in no message, whatever goes wrong', async () => {
  const redis = await startRedis(['--requirepass', 'right']);
  const refused = `redis://edge:${encodeURIComponent(PASSWORD)}@127.0.0.1:${redis.port}`;
  const closed = refused.replace(`${redis.port}`, '1');
  const unknown = refused.replace('127.0.0.1', 'host.invalid');
  for (const url of [refused, closed, unknown]) {
    const { store, heard } = await opened(url, 'one', { connectTimeoutMs: 300 });
    const error = await store.addNode(node('a')).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    const said = `${messageOf(error)} ${JSON.stringify(error)} ${JSON.stringify((error as Error).cause)} ${heard.causes}`;
    expect(said).not.toMatch(/s3cret|edge/);
    expect(messageOf(error)).toContain(new URL(url).host);
  }
});

test.each([
  'http://a:s3cret@b',
  'redis://a:s3cret@b:99999999',
  'redis://a:s3cret@b?ca=/nowhere',
  'redis://s3cret@b',
])('an address that cannot be used is refused without showing it: %s', (url) => {
  const create = () => new RedisStore({ url, cluster: 'test', proxyId: 'one' });
  expect(create).toThrow(/^membership\.url: the address /);
  expect(create).not.toThrow(/s3cret/);
});
