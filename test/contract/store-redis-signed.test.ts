import { expect, test } from 'vitest';
import { RedisStore } from '../../src/membership/store/redis.ts';
import { type RedisServer, redisCommand, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';
import { ban, node, Recorder, storeContract } from './store.ts';
import { sharedStoreContract } from './store-shared.ts';

let redis: Promise<RedisServer> | undefined;
let clusters = 0;
const signing = { secret: 'a secret of a cluster', acceptsUnsigned: false };

/** Signed, all is as it is without. */
async function emptyCluster() {
  redis ??= startRedis();
  const { url } = await redis;
  const cluster = `test-${++clusters}`;
  return {
    store: (proxyId: string) => new RedisStore({ url, cluster, proxyId, heartbeatMs: 100, signing }),
  };
}

storeContract('signed redis', emptyCluster);
sharedStoreContract('signed redis', emptyCluster);

test('a cluster that runs begins to sign, and changes its secret, without losing a node or a ban', async () => {
  redis ??= startRedis();
  const { url } = await redis;
  const cluster = `test-${++clusters}`;
  const open = async (signing?: ConstructorParameters<typeof RedisStore>[0]['signing']) => {
    const heard = new Recorder();
    const store = new RedisStore({ url, cluster, proxyId: 'one', heartbeatMs: 100, signing });
    await store.open(heard);
    return { store, heard };
  };
  const record = async () => `${await redisCommand(url, 'HGET', `{breakwater:${cluster}}:nodes`, 'a')}`;
  const { store: first } = await open();
  await first.addNode(node('a'));
  const made = ban('clientId', 'd');
  await first.ban(made);
  await first.close();
  const banRecord = async () => `${await redisCommand(url, 'HGET', `{breakwater:${cluster}}:bans`, made.id)}`;
  let [last, lastBan] = [await record(), await banRecord()];
  for (const { signing, isWrittenAnew } of [
    { signing: { secret: 'first', acceptsUnsigned: true }, isWrittenAnew: true },
    { signing: { secret: 'first', acceptsUnsigned: false }, isWrittenAnew: false },
    { signing: { secret: 'second', formerSecret: 'first', acceptsUnsigned: false }, isWrittenAnew: true },
    { signing: { secret: 'second', acceptsUnsigned: false }, isWrittenAnew: false },
  ]) {
    const { store, heard } = await open(signing);
    await until(() => heard.nodeIds().join() === 'a', `the node with ${JSON.stringify(signing)}`);
    expect([...heard.bans.values()]).toEqual([made]);
    if (isWrittenAnew) {
      await until(async () => (await record()) !== last, 'it to be signed anew');
      await until(async () => (await banRecord()) !== lastBan, 'the ban to be signed anew');
    } else expect([await record(), await banRecord()]).toEqual([last, lastBan]);
    [last, lastBan] = [await record(), await banRecord()];
    expect(heard.skipped).toEqual([]);
    await store.close();
  }
});
