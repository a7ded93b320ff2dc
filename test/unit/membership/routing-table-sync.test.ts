import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AddressBook } from '../../../src/membership/address-book.ts';
import { RoutingTableSync } from '../../../src/membership/routing-table-sync.ts';
import type { NodeSpec } from '../../../src/nodes/node.ts';
import type { NodeRoute } from '../../../src/nodes/route.ts';
import { NodeTable } from '../../../src/nodes/table.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const spec = (id: string, changes: Partial<NodeSpec> = {}): NodeSpec => ({
  ...{ id, pool: 'default', url: `mqtt://${id}.example:1883`, weight: 10, source: 'api' },
  ...changes,
});

/** Routes over a resolver whose answers the test gives, when it wants. */
function open({ room = 100, share = 1, connectRate = 0 } = {}) {
  const table = new NodeTable();
  const routes = new Map<string, NodeRoute>();
  const waiting: { host: string; answer: (address: string | undefined) => void }[] = [];
  const told: string[] = [];
  const onUnrouted = ({ id }: { id: string }, error: unknown) =>
    void told.push(`${id}: ${(error as Error).message}`);
  const addresses = new AddressBook({
    table,
    resolve: (host) =>
      new Promise((resolve, reject) => {
        const answer = (address: string | undefined) =>
          address === undefined ? reject(new Error('ENOTFOUND')) : resolve(address.split(' '));
        waiting.push({ host, answer });
      }),
    onUnresolved: onUnrouted,
  });
  const keeper = new RoutingTableSync({
    table,
    addresses,
    poolNumber: (pool) => ['default', 'meters'].indexOf(pool),
    sink: {
      put: (route) => {
        if (!routes.has(route.id) && routes.size >= room) throw new Error('full');
        routes.set(route.id, route);
      },
      remove: (id) => void routes.delete(id),
    },
    shareOf: () => share,
    connectRateOf: () => connectRate,
    onUnrouted,
  });
  /** Answers all lookups that wait, and lets the answers arrive. */
  const answer = async (address: string | undefined): Promise<void> => {
    for (const lookup of waiting.splice(0)) lookup.answer(address);
    await vi.advanceTimersByTimeAsync(0);
  };
  const nextLook = () => vi.advanceTimersByTimeAsync(5_000);
  return { table, routes, waiting, told, addresses, keeper, answer, nextLook };
}

test('a node takes devices once its name has an address', async () => {
  const { table, routes, addresses, answer } = open();
  const node = table.put(spec('a', { pool: 'meters', weight: 20 }));
  expect(routes.get('a')).toMatchObject({ host: '', pool: 1, port: 1883, weight: 2000 });
  expect(addresses.shown(node)).toBeUndefined();
  await answer('10.0.0.1');
  expect(routes.get('a')).toMatchObject({ host: '10.0.0.1' });
  expect(addresses.shown(node)).toBe('10.0.0.1:1883');
});

test('state and health are the two words that the data threads know', () => {
  const { table, routes } = open();
  table.put(spec('a'));
  expect(routes.get('a')).toMatchObject({ enabled: true, usable: true });
  table.setState('a', 'draining');
  table.setHealth('a', 'unhealthy', 'test');
  expect(routes.get('a')).toMatchObject({ enabled: false, usable: false });
  table.remove('a');
  expect(routes.size).toBe(0);
});

test('an IPv6 address is shown in brackets', async () => {
  const { table, addresses, answer } = open();
  const node = table.put(spec('a'));
  await answer('2001:db8::1');
  expect(addresses.shown(node)).toBe('[2001:db8::1]:1883');
});

test('it is resolved when every node has its address, or has none', async () => {
  const { table, addresses, answer } = open();
  table.put(spec('a'));
  let isResolved = false;
  const waiting = addresses.resolved().then(() => {
    isResolved = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(isResolved).toBe(false);
  await answer(undefined);
  await waiting;
});

test('names are looked up again, and a new address is followed', async () => {
  const { table, routes, answer, nextLook } = open();
  table.put(spec('a'));
  await answer('10.0.0.1');
  await nextLook();
  await answer('10.0.0.2');
  expect(routes.get('a')?.host).toBe('10.0.0.2');
});

test('a name that is lost keeps its last address, and is told once for each loss', async () => {
  const { table, routes, told, answer, nextLook } = open();
  table.put(spec('a'));
  await answer('10.0.0.1');
  for (const address of [undefined, undefined, '10.0.0.1', undefined]) {
    await nextLook();
    await answer(address);
  }
  expect(told).toEqual(['a: ENOTFOUND', 'a: ENOTFOUND']);
  expect(routes.get('a')?.host).toBe('10.0.0.1');
});

test('nodes of one host ask for it once, and all get its address', async () => {
  const { table, routes, waiting, answer } = open();
  table.put(spec('a', { url: 'mqtt://host:1' }));
  table.put(spec('b', { url: 'mqtt://host:2' }));
  expect(waiting).toHaveLength(1);
  await answer('10.0.0.1');
  expect([...routes.values()].map(({ host, port }) => `${host}:${port}`)).toEqual([
    '10.0.0.1:1',
    '10.0.0.1:2',
  ]);
});

test('a resolver that hangs is not asked again meanwhile', async () => {
  const { table, waiting, nextLook } = open();
  table.put(spec('a'));
  await nextLook();
  await nextLook();
  expect(waiting).toHaveLength(1);
});

test('a node whose URL changes is looked up anew, and an answer about the old host is not its own', async () => {
  const { table, routes, waiting, answer } = open();
  table.put(spec('a', { url: 'mqtt://old:1883' }));
  table.put(spec('a', { url: 'mqtt://new:1884' }));
  const [old] = waiting.splice(0, 1);
  old?.answer('10.0.0.1');
  await vi.advanceTimersByTimeAsync(0);
  expect(routes.get('a')).toMatchObject({ host: '', port: 1884 });
  await answer('10.0.0.2');
  expect(routes.get('a')).toMatchObject({ host: '10.0.0.2' });
});

test('a node that stays at its host keeps its address, whatever else changes', async () => {
  const { table, routes, answer } = open();
  table.put(spec('a', { url: 'mqtt://host:1883' }));
  await answer('10.0.0.1');
  table.put(spec('a', { url: 'mqtt://host:1884' }));
  expect(routes.get('a')).toMatchObject({ host: '10.0.0.1', port: 1884 });
});

test('an answer about a node that was removed meanwhile is forgotten', async () => {
  const { table, routes, told, addresses, answer } = open();
  const [a, b] = [table.put(spec('a')), table.put(spec('b'))];
  table.remove('a');
  await answer('10.0.0.1');
  expect([addresses.shown(a), addresses.shown(b)]).toEqual([undefined, '10.0.0.1:1883']);
  table.remove('b');
  expect([told, routes.size]).toEqual([[], 0]);
});

test('a node that comes back is told of anew when its name does not resolve', async () => {
  const { table, told, answer } = open();
  table.put(spec('a'));
  await answer(undefined);
  table.remove('a');
  table.put(spec('a'));
  await answer(undefined);
  expect(told).toHaveLength(2);
});

test('a routing table without room is told of once; the node is routed when there is room', async () => {
  const { table, routes, told, answer, nextLook } = open({ room: 1 });
  table.put(spec('a'));
  table.put(spec('b'));
  table.setHealth('b', 'healthy', 'test');
  await answer('10.0.0.1');
  expect([told, [...routes.keys()]]).toEqual([['b: full'], ['a']]);
  table.remove('a');
  await nextLook();
  expect(routes.get('b')).toMatchObject({ host: '10.0.0.1', usable: true });
});

test('stopped, it follows nothing any more', async () => {
  const { table, routes, waiting, keeper, addresses, nextLook } = open();
  keeper.stop();
  addresses.stop();
  table.put(spec('a'));
  await nextLook();
  expect([routes.size, waiting.length]).toEqual([0, 0]);
});

test('a node’s limits go with it, and its pace grows with its share', () => {
  const { table, routes } = open({ share: 0.25, connectRate: 10 });
  table.put(spec('a', { maxConnections: 500 }));
  expect(routes.get('a')).toMatchObject({ maxConnections: 500, connectRate: 3 });
  table.put(spec('a', { maxConnections: 700 }));
  expect(routes.get('a')).toMatchObject({ maxConnections: 700 });
  table.put(spec('a'));
  expect(routes.get('a')).toMatchObject({ maxConnections: 0 });
});

test('a starting node has a share of its weight, in hundredths, and never none', async () => {
  for (const [share, weight] of [
    [1, 1000],
    [0.25, 250],
    [0.0001, 1],
  ] as const) {
    const { table, routes } = open({ share });
    table.put(spec('a'));
    expect(routes.get('a')?.weight).toBe(weight);
  }
});

test('every address of a name is written; another order of them is no change', async () => {
  const { table, routes, addresses, answer, nextLook } = open();
  const node = table.put(spec('a'));
  await answer('10.0.0.1 10.0.0.2 fd00::1');
  const written = routes.get('a');
  expect(written).toMatchObject({ host: '10.0.0.1', otherHosts: ['10.0.0.2', 'fd00::1'] });
  expect(addresses.shown(node)).toBe('10.0.0.1:1883, 10.0.0.2:1883, [fd00::1]:1883');
  await nextLook();
  await answer('10.0.0.2 10.0.0.1 fd00::1');
  expect(routes.get('a')).toBe(written);
  await nextLook();
  await answer('10.0.0.2');
  expect(routes.get('a')).toMatchObject({ host: '10.0.0.2' });
  expect(routes.get('a')?.otherHosts).toBeUndefined();
});
