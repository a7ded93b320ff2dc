import { expect, test } from 'vitest';
import { randomFrom } from '../../../bench/random.ts';
import { Balancer } from '../../../src/data-plane/balancer.ts';
import type { Slot } from '../../../src/data-plane-api/routing-table.ts';
import { strategies } from '../../../src/policy/balance/index.ts';

const key = { clientId: 'meter-1', sourceAddress: '10.0.0.1' };

const at = (slot: number, id: string, changes: Partial<Slot> = {}): Slot => ({
  slot,
  id,
  pool: 0,
  host: `10.0.0.${slot}`,
  port: 1883,
  serverName: '',
  weight: 10,
  maxConnections: 0,
  connectRate: 0,
  enabled: true,
  usable: true,
  busy: false,
  ...changes,
});

/** A balancer of two pools over slots that the test may change. */
function balancerOver(...slots: Slot[]) {
  let fresh: Slot[] | undefined = slots;
  const changed = (): Slot[] | undefined => {
    const told = fresh;
    fresh = undefined;
    return told;
  };
  const live = [0, 0, 0, 0, 0];
  const source = { changed, connections: (slot: number) => live[slot] ?? 0 };
  const strategy = strategies['least-connections'];
  const balancer = new Balancer(source, [strategy, strategy], randomFrom(1));
  return {
    balancer,
    use: (next: Parameters<Balancer['use']>[0]) => balancer.use(next),
    live,
    change: (...next: Slot[]) => {
      fresh = next;
    },
    candidates: (pool = 0) => balancer.candidates(pool, key),
    ids: (pool = 0, preferred?: string) =>
      [...balancer.candidates(pool, key, preferred)].map(({ nodeId }) => nodeId),
  };
}

test('a device that finds no node looks once more, and waits for what is being written', () => {
  let isWritten = false;
  const asked: unknown[] = [];
  const source = {
    changed(patiently?: boolean) {
      asked.push(patiently);
      if (!patiently || isWritten) return undefined;
      isWritten = true;
      return [at(0, 'a')];
    },
    connections: () => 0,
  };
  const balancer = new Balancer(source, [strategies['round-robin']], randomFrom(1));
  const walk = balancer.candidates(0, key);
  expect(walk.next().value?.nodeId).toBe('a');
  expect(walk.next().done).toBe(true);
  expect(balancer.candidates(1, key).next().done).toBe(true);
  expect(asked.filter(Boolean)).toHaveLength(2); // once a walk, and only where nothing was found
});

test('a target is the node with its slot and its address', () => {
  expect([...balancerOver(at(3, 'a', { port: 1884 })).candidates()]).toEqual([
    { slot: 3, nodeId: 'a', host: '10.0.0.3', port: 1884 },
  ]);
});

test('a node of several addresses is one target, and it is known which of them answered last', () => {
  const { candidates, change } = balancerOver(at(0, 'a', { otherHosts: ['fd00::1'] }));
  const walkOf = () => candidates().next().value?.addresses?.walk();
  const walk = walkOf();
  expect([walk?.next(), walk?.next()]).toEqual(['10.0.0.0', 'fd00::1']);
  walk?.reached();
  change(at(0, 'a', { otherHosts: ['fd00::1'], weight: 20 }));
  expect(walkOf()?.next()).toBe('fd00::1');
  change(at(0, 'a', { otherHosts: ['fd00::2'] }));
  expect(walkOf()?.next()).toBe('10.0.0.0');
});

test('only nodes of the pool, and none that is draining, disabled or without an address', () => {
  const { ids } = balancerOver(at(0, 'a'), at(1, 'b', { pool: 1 }), at(2, 'c', { enabled: false }));
  expect([ids(0), ids(1), ids(2)]).toEqual([['a'], ['b'], []]);
});

test('nodes that take nobody now come last likewise', () => {
  const { ids, change } = balancerOver(at(0, 'a', { busy: true }), at(1, 'b'));
  expect(ids()).toEqual(['b', 'a']);
  expect(ids(0, 'a')).toEqual(['b', 'a']);
  change(at(0, 'a'), at(1, 'b', { busy: true }));
  expect(ids()).toEqual(['a', 'b']);
});

test('unhealthy nodes come last, however few devices they have', () => {
  const { ids, live } = balancerOver(at(0, 'a', { usable: false }), at(1, 'b'), at(2, 'c'));
  live[1] = 9;
  live[2] = 8;
  expect(ids()).toEqual(['c', 'b', 'a']);
});

test('where no node is healthy all are tried (panic mode)', () => {
  const { ids, live } = balancerOver(at(0, 'a', { usable: false }), at(1, 'b', { usable: false }));
  live[0] = 1;
  expect(ids()).toEqual(['b', 'a']);
});

test('counts are read at the moment of each pick, retries too', () => {
  const { candidates, live } = balancerOver(at(0, 'a'), at(1, 'b'), at(2, 'c'));
  live[1] = 1;
  live[2] = 2;
  const order = candidates();
  expect(order.next().value?.nodeId).toBe('a');
  live[1] = 3;
  expect(order.next().value?.nodeId).toBe('c');
});

test('a change is followed by the next connection', () => {
  const { ids, change } = balancerOver(at(0, 'a'));
  expect(ids()).toEqual(['a']);
  change(at(1, 'b'));
  expect(ids()).toEqual(['b']);
});

test.each(['removed', 'drained'])('a node that was %s meanwhile is no retry any more', (what) => {
  const { candidates, ids, change, live } = balancerOver(at(0, 'a'), at(1, 'b'), at(2, 'c'));
  live[1] = 1;
  live[2] = 2;
  const order = candidates();
  order.next();
  change(at(0, 'a'), ...(what === 'drained' ? [at(1, 'b', { enabled: false })] : []), at(2, 'c'));
  ids(); // another connection has seen the change
  expect([...order].map(({ nodeId }) => nodeId)).toEqual(['c']);
});

test('nor is another node that got its slot: it may belong to another pool', () => {
  const { candidates, ids, change } = balancerOver(at(0, 'a'), at(1, 'b'));
  const order = candidates();
  order.next();
  change(at(0, 'x', { pool: 1 }), at(1, 'y', { pool: 1 }));
  ids();
  expect([...order]).toEqual([]);
});

test('a retry goes to where the node is now', () => {
  const { candidates, change, live } = balancerOver(at(0, 'a'), at(1, 'b'));
  live[1] = 1;
  const order = candidates();
  order.next();
  change(at(0, 'a'), at(1, 'b', { host: '10.9.9.9' }));
  expect(order.next().value).toMatchObject({ nodeId: 'b', host: '10.9.9.9' });
});

test('the node that served the device last comes first, if it can take it, and once', () => {
  const others = [at(1, 'b', { usable: false }), at(2, 'c', { enabled: false }), at(3, 'd', { pool: 1 })];
  const { ids, live } = balancerOver(at(0, 'a'), at(4, 'e'), ...others);
  live[0] = 9;
  expect(ids(0, 'a')).toEqual(['a', 'e', 'b']);
  for (const unfit of ['b', 'c', 'd', 'gone']) expect(ids(0, unfit)).toEqual(['e', 'a', 'b']);
});

test('strategies may change under the same nodes, and a pool without one has no candidates', () => {
  const { ids, live, use } = balancerOver(at(0, 'a'), at(1, 'b'), at(2, 'c', { pool: 1 }));
  live[0] = 3;
  expect([ids(0), ids(1)]).toEqual([['b', 'a'], ['c']]);
  const first = strategies['client-id-hash'];
  use([first, undefined]);
  const byHash = ids(0);
  live[0] = 0;
  live[1] = 3;
  expect(ids(0)).toEqual(byHash);
  expect(ids(1)).toEqual([]);
  use([undefined, first, first]);
  expect([ids(0), ids(1), ids(2)]).toEqual([[], ['c'], []]);
});

test('a node is found by its id for whom it serves, drained too, but in its own pool only', () => {
  const { balancer } = balancerOver(at(0, 'a'), at(1, 'b', { enabled: false, usable: false }));
  expect(balancer.target(0, 'a')).toMatchObject({ slot: 0, nodeId: 'a', host: '10.0.0.0' });
  expect(balancer.target(0, 'b')).toMatchObject({ slot: 1, nodeId: 'b', host: '10.0.0.1' });
  expect([balancer.target(1, 'a'), balancer.target(0, 'c')]).toEqual([undefined, undefined]);
});
