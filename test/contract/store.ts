import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Membership, MembershipStore } from '../../src/membership/store.ts';
import type { NodeSpec } from '../../src/nodes/node.ts';

/** One proxy's store, over the membership of a cluster that is still empty. */
export interface StoreFixture {
  readonly store: MembershipStore;
  /** Ends what the store does not own, such as a server. */
  readonly end?: () => Promise<void>;
}

const node = (id: string, changes: Partial<NodeSpec> = {}): NodeSpec => ({
  id,
  pool: 'default',
  url: `mqtt://${id}:1883`,
  weight: 10,
  source: 'api',
  ...changes,
});

/** What every membership store does. `factory` makes a new one, over an empty cluster, for each test. */
export function storeContract(name: string, factory: () => StoreFixture | Promise<StoreFixture>): void {
  describe(`${name} membership store`, () => {
    let fixture: StoreFixture;
    let store: MembershipStore;
    /** Copies of what was told, made when it was told: a snapshot may be the store's own map. */
    let told: { nodes: Record<string, NodeSpec>; decisions: Record<string, object> }[];
    const last = () => told.at(-1);
    const remember = ({ nodes, decisions }: Membership): void => {
      told.push(
        structuredClone({ nodes: Object.fromEntries(nodes), decisions: Object.fromEntries(decisions) }),
      );
    };

    beforeEach(async () => {
      told = [];
      fixture = await factory();
      store = fixture.store;
      await store.open(remember);
    });
    afterEach(async () => {
      await store.close();
      await fixture.end?.();
    });

    test('tells the present snapshot before it is open, and is up', () => {
      expect(told).toEqual([{ nodes: {}, decisions: {} }]);
      expect(store.isUp()).toBe(true);
    });

    test('gives back a node with all that was declared of it', async () => {
      const spec = node('a', {
        pool: 'meters',
        weight: 100,
        probeUrl: 'http://a:18083/status',
        source: 'self',
      });
      await store.addNode(spec);
      expect(last()?.nodes).toEqual({ a: spec });
    });

    test('tells a change before it says that it is done', async () => {
      await store.addNode(node('a'));
      expect(last()?.nodes).toHaveProperty('a');
      await store.decide('a', { weight: 20 });
      expect(last()?.decisions).toEqual({ a: { weight: 20 } });
      await store.removeNode('a');
      expect(last()).toEqual({ nodes: {}, decisions: {} });
    });

    test('tells whole snapshots', async () => {
      await store.addNode(node('a'));
      await store.addNode(node('b'));
      expect(Object.keys(last()?.nodes ?? {}).sort()).toEqual(['a', 'b']);
    });

    test('refuses a second node of one id, and the first stays as it is', async () => {
      await store.addNode(node('a'));
      const second = store.addNode(node('a', { url: 'mqtt://other:1883' }));
      await expect(second).rejects.toMatchObject({ code: 'NODE_EXISTS' });
      expect(last()?.nodes).toEqual({ a: node('a') });
    });

    test('of two that add one id at once, one wins', async () => {
      const results = await Promise.allSettled([store.addNode(node('a')), store.addNode(node('a'))]);
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    });

    test('lays a decision over what was decided before', async () => {
      await store.decide('a', { state: 'draining', weight: 20 });
      await store.decide('a', { weight: 30 });
      await store.decide('a', { removed: true });
      expect(last()?.decisions).toEqual({ a: { state: 'draining', weight: 30, removed: true } });
    });

    test('a field that is undefined is not given', async () => {
      await store.decide('a', { weight: 20, state: 'disabled' });
      await store.decide('a', { weight: undefined, state: 'enabled', removed: undefined });
      expect(last()?.decisions).toEqual({ a: { weight: 20, state: 'enabled' } });
    });

    test('decides about nodes that are declared elsewhere', async () => {
      await store.decide('declared', { removed: true });
      expect(last()).toEqual({ nodes: {}, decisions: { declared: { removed: true } } });
    });

    test('a new node begins without what was decided about an earlier one of its id', async () => {
      await store.decide('a', { state: 'disabled' });
      await store.addNode(node('a'));
      expect(last()).toEqual({ nodes: { a: node('a') }, decisions: {} });
    });

    test('removing an unknown node is no error', async () => {
      await store.removeNode('a');
      expect(last()).toEqual({ nodes: {}, decisions: {} });
    });

    test('tells nothing once it is closed', async () => {
      await store.close();
      const before = told.length;
      await store.addNode(node('a')).catch(() => {}); // it may refuse by then
      expect(told).toHaveLength(before);
    });

    test('closes a second time without complaint', async () => {
      await store.close();
      await store.close();
    });
  });
}
