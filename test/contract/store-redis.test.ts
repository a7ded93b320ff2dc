import { RedisStore } from '../../src/membership/store/redis.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { storeContract } from './store.ts';
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
