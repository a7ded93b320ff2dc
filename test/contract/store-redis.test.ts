import { expect, test } from 'vitest';
import { RedisStore } from '../../src/membership/store/redis.ts';
import { atEnd } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';
import { ban, node, Recorder, storeContract } from './store.ts';
import { sharedStoreContract } from './store-shared.ts';

let redis: Promise<RedisServer> | undefined;
let clusters = 0;

/** One server for all tests; each has a cluster of its own. */
async function emptyCluster() {
  redis ??= startRedis();
  const { url } = await redis;
  const cluster = `test-${++clusters}`;
  return { store: (proxyId: string) => new RedisStore({ url, cluster, proxyId, heartbeatMs: 100 }) };
}

storeContract('redis', emptyCluster);
sharedStoreContract('redis', emptyCluster);

test('a process goes on from what the one before it knew, while Redis is away and when it comes back empty', async () => {
  const server = await startRedis();
  const storeOf = (url: string) =>
    new RedisStore({ url, cluster: 'default', proxyId: 'one', heartbeatMs: 100, connectTimeoutMs: 200 });
  const [made, before, heardBefore] = [ban('clientId', 'd'), storeOf(server.url), new Recorder()];
  await before.open(heardBefore);
  await before.addNode(node('a'));
  await before.decide('a', { state: 'draining' });
  await before.ban(made);
  const state = structuredClone(before.describe());
  await before.close();
  server.kill('SIGSTOP');

  const [after, heard] = [storeOf(server.url), new Recorder()];
  atEnd(() => after.close());
  after.restore(state);
  await after.open(heard);
  expect(after.isUp()).toBe(false);
  const known = () => [heard.last(), [...heard.bans.values()]];
  expect(known()).toEqual([heardBefore.last(), [made]]);

  server.kill('SIGCONT'); // else it would not stop
  await server.restart();
  await until(() => after.isUp(), 'Redis to be back');
  expect(known()).toEqual([heardBefore.last(), [made]]);
  const [late, heardLate] = [storeOf(server.url), new Recorder()];
  atEnd(() => late.close());
  await late.open(heardLate);
  expect([...heardLate.bans.values()]).toEqual([made]);
  late.restore({ ...(state as object), bans: [] }); // it has heard of Redis itself
  expect([...heardLate.bans.values()]).toEqual([made]);
});
