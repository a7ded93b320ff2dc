import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RedisStore, type RedisStoreOptions } from '../../src/membership/store/redis.ts';
import type { MembershipStore } from '../../src/membership/store/store.ts';
import { BANS_MAX } from '../../src/policy/admission/bans.ts';
import { ban, beat, client, node, Recorder } from '../contract/store.ts';
import { atEnd } from '../support/process.ts';
import { type RedisServer, redisCommand, startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

const LONG_MS = 60_000;
const bansKey = '{breakwater:test}:bans';
const self = node('agent', { source: 'self' });

interface Proxy {
  readonly store: MembershipStore;
  readonly heard: Recorder;
}

let redis: RedisServer;
const stores: MembershipStore[] = [];

beforeEach(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  await redis.stop();
});

async function opened(proxyId: string, options: Partial<RedisStoreOptions> = {}): Promise<Proxy> {
  const quick = { heartbeatMs: 100, commandTimeoutMs: 500, connectTimeoutMs: 500, reconnectDelayMaxMs: 200 };
  const store = new RedisStore({ url: redis.url, cluster: 'test', proxyId, ...quick, ...options });
  stores.push(store);
  const heard = new Recorder();
  await store.open(heard);
  return { store, heard };
}

async function bothKnow(one: Proxy, two: Proxy, ids: string): Promise<void> {
  await until(() => one.heard.nodeIds().join() === ids && two.heard.nodeIds().join() === ids, `nodes ${ids}`);
}

test('a Redis that stops: commands fail at once with the remedy, and the last snapshot stays', async () => {
  const { store, heard } = await opened('one');
  await store.addNode(node('a'));
  await store.ban(ban('clientId', 'd'));
  await redis.stop();
  await until(() => !store.isUp(), 'the store to be down');
  const commands = [
    store.ban(ban('clientId', 'e')),
    store.unban(ban('clientId', 'd').id),
    store.addNode(node('b')),
    store.removeNode('a'),
    store.decide('a', { weight: 1 }),
    store.beatNode(self, LONG_MS, LONG_MS),
    store.beatProxy(beat('one'), LONG_MS),
    store.leaveNode('agent'),
    store.leaveProxy('one'),
    store.recallClient(client('d')),
    store.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, LONG_MS),
    store.renewClients('one', [client('d')], LONG_MS),
    store.ask('?', LONG_MS),
  ];
  for (const { reason } of (await Promise.allSettled(commands)) as PromiseRejectedResult[]) {
    expect(reason).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/start it or correct/),
    });
  }
  expect(heard.nodeIds()).toEqual(['a']);
  expect([...heard.bans.values()]).toEqual([ban('clientId', 'd')]);
  expect([heard.ups, heard.causes.length]).toEqual([[false], 1]);
});

test('a Redis in protected mode is named as such', async () => {
  const refusal =
    '-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user.\r\n';
  const server = createServer((socket) => socket.on('error', () => {}).end(refusal)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => server.close());
  const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { heard } = await opened('one', { url });
  await until(() => heard.causes.length > 0, 'the cause');
  expect(heard.causes[0]).toMatch(/protected mode/);
});

test('a Redis that comes back empty is given back what the proxies know', async () => {
  const [one, two] = [await opened('one'), await opened('two')];
  await one.store.addNode(node('a'));
  await one.store.decide('a', { state: 'draining' });
  await two.store.beatNode(self, LONG_MS, LONG_MS);
  await one.store.beatProxy(beat('one'), LONG_MS);
  await two.store.beatProxy(beat('two'), LONG_MS);
  await until(() => one.heard.proxies.length + two.heard.proxies.length === 4, 'both proxies');
  await bothKnow(one, two, 'a,agent');
  const counts = () =>
    [one, two].map(({ heard }) => heard.told.map(({ nodes }) => Object.keys(nodes).length));
  const before = counts().map((told) => told.length);

  await redis.restart();
  await until(() => one.heard.ups.at(-1) && two.heard.ups.at(-1), 'both stores to be up again');
  await one.store.addNode(node('b'));
  await bothKnow(one, two, 'a,agent,b');
  expect(counts().map((told, i) => Math.min(...told.slice(before[i])))).toEqual([2, 2]); // nothing ever vanished
  expect(two.heard.last()?.decisions).toEqual({ a: { state: 'draining' } });
  expect([one.heard.proxyIds(), two.heard.proxyIds()]).toEqual([
    ['one', 'two'],
    ['one', 'two'],
  ]);
  expect([one.heard.ups, two.heard.ups]).toEqual([
    [false, true],
    [false, true],
  ]);
});

test('bans that Redis has lost are given back, and those that were taken back are not', async () => {
  const one = await opened('one');
  const [lasting, removed] = [ban('source', '10.0.0.0/8'), ban('clientId', 'd')];
  await one.store.ban(lasting);
  await one.store.ban(removed);
  const backup = await redisCommand(redis.url, 'HGETALL', bansKey);
  await one.store.unban(removed.id);
  await redisCommand(redis.url, 'FLUSHALL');
  await redisCommand(redis.url, 'HSET', bansKey, ...(backup as string[]));
  await one.store.addNode(node('a'));
  expect([...one.heard.bans.values()]).toEqual([lasting]);
  const two = await opened('two');
  expect([...two.heard.bans.values()]).toEqual([lasting]);
  await redisCommand(redis.url, 'SET', bansKey, 'not yours');
  await until(
    async () => (await redisCommand(redis.url, 'TYPE', bansKey)) === 'hash',
    'a sync to put it right',
  );
  await two.store.ban(ban('username', 'u'));
  expect(await redisCommand(redis.url, 'HLEN', bansKey)).toBe(2);
});

test('a ban that nobody can use is passed over and told, and gives way to a good one', async () => {
  const good = ban('source', '10.0.0.0/8');
  const write = (id: string, said: object) =>
    redisCommand(redis.url, 'HSET', bansKey, id, `${Date.now()}000 ${JSON.stringify({ v: 1, ...said })}`);
  await write(good.id, { ...good, value: '10.0.0.0/33' });
  await write('000000000000', { ...good, id: '000000000000' });
  await write('other', good);
  const { store, heard } = await opened('one');
  expect(heard.bans.size).toBe(0);
  expect(heard.skipped.map(({ key, field, reason }) => [key, field, reason]).sort()).toEqual([
    ['bans', '000000000000', 'schema'],
    ['bans', good.id, 'schema'],
    ['bans', 'other', 'schema'],
  ]);
  await store.ban(good);
  expect([...heard.bans.values()]).toEqual([good]);
});

test('a cluster has so many bans at most, of which one may still be replaced', async () => {
  const { store, heard } = await opened('one');
  await store.ban(ban('clientId', 'd'));
  const others = Array.from({ length: BANS_MAX - 1 }, (_, i) => ban('clientId', `d${i}`));
  const records = others.flatMap((each) => [each.id, `1 ${JSON.stringify({ v: 1, ...each })}`]);
  await redisCommand(redis.url, 'HSET', bansKey, ...records);
  await expect(store.ban(ban('clientId', 'one more'))).rejects.toMatchObject({ code: 'BAN_LIMIT' });
  await store.ban(ban('clientId', 'd', { reason: 'again' }));
  expect(heard.bans.size).toBe(BANS_MAX);
  expect(await store.unban(others[0]?.id ?? '')).toBe(true);
  await store.ban(ban('clientId', 'one more'));
});

test('a proxy that is new finds an empty Redis first: the others still give back what they know', async () => {
  const one = await opened('one');
  await one.store.addNode(node('a'));
  await redisCommand(redis.url, 'FLUSHALL');
  const two = await opened('two');
  await two.store.addNode(node('b'));
  await bothKnow(one, two, 'a,b');
  expect(await redisCommand(redis.url, 'HKEYS', '{breakwater:test}:nodes')).toHaveLength(2);
});

test('of what proxies give back the newer record wins, and what was removed stays removed', async () => {
  const [relayOne, relayTwo] = [await startRelay(redis.port), await startRelay(redis.port)];
  const one = await opened('one', { url: relayOne.url, heartbeatMs: LONG_MS });
  const two = await opened('two', { url: relayTwo.url, heartbeatMs: LONG_MS });
  await one.store.addNode(node('a'));
  await one.store.addNode(node('b'));
  await bothKnow(one, two, 'a,b');
  relayTwo.corrupt = withoutChanges;
  await one.store.removeNode('b');
  await one.store.decide('a', { weight: 50 });
  relayOne.corrupt = withoutChanges;
  await redisCommand(redis.url, 'FLUSHALL');
  await two.store.decide('y', { weight: 1 }); // whoever knows less is first
  expect(two.heard.nodeIds()).toEqual(['a', 'b']);
  await one.store.decide('z', { weight: 2 });
  await two.store.decide('y', { weight: 3 });
  const decisions = { a: { weight: 50 }, y: { weight: 3 }, z: { weight: 2 } };
  expect(two.heard.last()).toEqual({ nodes: { a: { ...node('a'), late: false } }, decisions });
});

test('who missed more changes than Redis remembers is told them, and gives nothing back', async () => {
  const relay = await startRelay(redis.port);
  const [one, two] = [await opened('one'), await opened('two', { url: relay.url, heartbeatMs: LONG_MS })];
  await one.store.addNode(node('a'));
  await bothKnow(one, two, 'a');
  relay.corrupt = withoutChanges;
  await one.store.removeNode('a');
  await Promise.all(Array.from({ length: 1_100 }, () => one.store.decide('z', { weight: 1 })));
  await two.store.decide('z', { weight: 2 });
  expect(two.heard.nodeIds()).toEqual([]);
});

test('a Redis that comes back with an old backup is brought up to date', async () => {
  const { store, heard } = await opened('one', { heartbeatMs: LONG_MS }); // it sees the backup whole
  await store.addNode(node('a'));
  await store.addNode(node('b'));
  const keys = ['meta', 'nodes'].map((name) => `{breakwater:test}:${name}`);
  const backup = await Promise.all(keys.map((key) => redisCommand(redis.url, 'HGETALL', key)));
  await store.removeNode('b');
  await store.decide('a', { weight: 50 });
  await redisCommand(redis.url, 'FLUSHALL');
  for (const [i, key] of keys.entries())
    await redisCommand(redis.url, 'HSET', key, ...(backup[i] as string[]));
  await store.addNode(node('c'));
  const { nodes, decisions } = heard.last() ?? {};
  expect([Object.keys(nodes ?? {}).sort(), decisions]).toEqual([['a', 'c'], { a: { weight: 50 } }]);
});

test('a Redis that hangs (half-open) is noticed, and nothing that waited in it is carried out later', async () => {
  const { store, heard } = await opened('one');
  redis.kill('SIGSTOP');
  const waiting = store.addNode(node('late'));
  await expect(waiting).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(store.isUp()).toBe(false);
  await until(() => heard.ups.at(-1) === false, 'the store to be down');
  const givenUpAt = Date.now();
  await until(() => Date.now() > givenUpAt + 50, 'the deadline to have passed by any clock');
  redis.kill('SIGCONT');
  await until(() => store.isUp(), 'the store to be up again');
  await store.addNode(node('b'));
  expect(heard.nodeIds()).toEqual(['b']);
});

test('an idle store notices a Redis that hangs', async () => {
  const { store, heard } = await opened('one');
  redis.kill('SIGSTOP');
  await until(() => heard.ups.at(-1) === false, 'the store to be down');
  expect(heard.causes).toEqual([expect.stringContaining('did not answer within 500 ms')]);
  redis.kill('SIGCONT');
  await until(() => store.isUp(), 'the store to be up again');
});

test('a time in which Redis was away counts against no lease', async () => {
  const { store, heard } = await opened('one');
  await store.beatNode(self, 1_000, 1);
  await store.beatProxy(beat('one'), 1_000);
  await until(() => heard.proxies.length === 1, 'the proxy');
  redis.kill('SIGSTOP');
  await until(() => !store.isUp(), 'the store to be down');
  const downAt = Date.now();
  await until(() => Date.now() > downAt + 1_000, 'both leases to have run out, were they counted');
  redis.kill('SIGCONT');
  await until(() => store.isUp(), 'the store to be up again');
  expect(heard.last()?.nodes.agent).toMatchObject({ late: false });
  expect(heard.proxyIds()).toEqual(['one']);
});

test('a proxy that starts while Redis is away opens with nothing, and catches up', async () => {
  await redis.stop();
  const { store, heard } = await opened('one');
  expect(heard.told).toEqual([{ nodes: {}, decisions: {} }]);
  expect(heard.causes).toEqual([expect.stringContaining('ECONNREFUSED')]);
  await redis.restart();
  await until(() => heard.ups.at(-1), 'the store to be up');
  await store.addNode(node('a'));
  expect(heard.nodeIds()).toEqual(['a']);
});

test('a lost message heals with the next sync', async () => {
  const { heard } = await opened('one');
  const version = (await redisCommand(redis.url, 'HGET', '{breakwater:test}:meta', 'version')) as string;
  const next = `${Number(version) + 1}`;
  await redisCommand(
    redis.url,
    'HSET',
    '{breakwater:test}:nodes',
    'a',
    `${next} ${JSON.stringify({ v: 1, ...node('a') })}`,
  );
  await redisCommand(redis.url, 'HSET', '{breakwater:test}:meta', 'version', next); // and nothing is published
  await until(() => heard.nodeIds().join() === 'a', 'the node');
});

test('a subscription that is lost, while commands are still answered, is renewed', async () => {
  const relay = await startRelay(redis.port);
  const { store, heard } = await opened('one', { url: relay.url });
  relay.corrupt = (text) => text.replaceAll('{breakwater:test}:proxy:one', '{breakwater:test}:proxy:???');
  await until(() => heard.ups.at(-1) === false, 'the silence to be noticed');
  expect(heard.causes).toEqual([expect.stringContaining('messages do not arrive')]);
  relay.corrupt = (text) => text;
  await until(() => store.isUp(), 'the store to be up again');
});

test('what is not ours under our keys is told, and takes nothing else with it', async () => {
  const { store, heard } = await opened('one');
  await store.addNode(node('a'));
  await redisCommand(redis.url, 'HSET', '{breakwater:test}:nodes', 'x', 'rubbish');
  await store.decide('a', { weight: 1 });
  expect(heard.skipped).toContainEqual({
    ...{ key: 'nodes', field: 'x', reason: 'form' },
    detail: 'it has not the form of a record',
  });
  expect(heard.last()).toMatchObject({ nodes: { a: node('a') }, decisions: { a: { weight: 1 } } });
  expect([store.isUp(), heard.nodeIds()]).toEqual([true, ['a']]);
});

test('whoever says all the time that something has changed makes a bounded number of syncs', async () => {
  const { heard, store } = await opened('one');
  const syncs = async () => {
    const stats = `${await redisCommand(redis.url, 'INFO', 'commandstats')}`;
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  };
  const [before, began] = [await syncs(), performance.now()];
  for (let round = 0; round < 20; round++)
    await redisCommand(
      redis.url,
      'EVAL',
      "for i = 1, 1000 do redis.call('PUBLISH', KEYS[1], 'x') end",
      1,
      '{breakwater:test}:changes',
    );
  await store.addNode(node('a'));
  const tookMs = performance.now() - began;
  expect(heard.nodeIds()).toEqual(['a']);
  expect((await syncs()) - before).toBeLessThan(tookMs / 10 + tookMs / 100 + 10);
});

test('what cannot be used gives way to what is written under its name', async () => {
  const { store, heard } = await opened('one');
  const put = (key: string, field: string, text: string) =>
    redisCommand(redis.url, 'HSET', `{breakwater:test}:${key}`, field, text);
  const version = `${Date.now()}000`;
  await put('nodes', 'a', `${version} {"v":1,"id":"a"}`);
  await put('nodes', 'agent', `${version} {"v":9}`);
  await put('decisions', 'a', `${version} {"v":1,"weight":-7}`);
  await put('meta', 'version', version);
  await until(() => heard.skipped.length >= 3, 'all three to be told');
  await store.decide('a', { state: 'disabled' });
  expect(heard.last()?.decisions).toEqual({ a: { state: 'disabled' } });
  await store.addNode(node('a'));
  await store.beatNode(self, LONG_MS, LONG_MS);
  expect(heard.nodeIds()).toEqual(['a', 'agent']);
});

test('a store that is closed while Redis hangs is closed soon, and one that never opened too', async () => {
  const { store } = await opened('one');
  redis.kill('SIGSTOP');
  await expect(store.close()).resolves.toBeUndefined();
  redis.kill('SIGCONT');
  const never = new RedisStore({ url: redis.url, cluster: 'test', proxyId: 'two' });
  await expect(never.close()).resolves.toBeUndefined();
});

/** Stands between a store and Redis, and may change what Redis says; a change must keep the length. */
async function startRelay(to: number) {
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1');
    client.pipe(upstream);
    upstream.on('data', (data) => client.write(relay.corrupt(data.toString('latin1')), 'latin1'));
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => server.close());
  const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const relay = { url, corrupt: (text: string): string => text };
  return relay;
}

/** To the store, messages about changes are then another's. */
function withoutChanges(text: string): string {
  return text.replaceAll('{breakwater:test}:changes', '{breakwater:test}:CHANGES');
}
