import { expect, test } from 'vitest';
import { createNodeAdmin } from '../../../src/membership/node-admin.ts';
import { desiredNodes, reconcile } from '../../../src/membership/reconcile.ts';
import { MemoryStore } from '../../../src/membership/store/memory.ts';
import type { Membership } from '../../../src/membership/store/store.ts';
import type { NodeSpec } from '../../../src/nodes/node.ts';
import { NodeTable } from '../../../src/nodes/table.ts';

const declaredNode: NodeSpec = {
  id: 'd',
  pool: 'default',
  url: 'mqtt://d:1883',
  weight: 30,
  source: 'config',
};

/** The way of a change: to the store, and back as its snapshot into the table. */
async function open() {
  const table = new NodeTable();
  const store = new MemoryStore();
  const declared = [declaredNode];
  let decisions: Membership['decisions'] = new Map();
  const isRemoved = (id: string) => decisions.get(id)?.removed === true;
  const admin = createNodeAdmin({
    table,
    store,
    pools: () => ['default', 'meters'],
    declared: () => declared,
    isRemoved,
  });
  await store.open({
    onMembership: (membership) => {
      decisions = membership.decisions;
      reconcile(table, desiredNodes(declared, [], membership));
    },
    onProxies: () => {},
    onClaim: () => {},
    onAsk: async () => undefined,
    onSkipped: () => {},
    onUp: () => {},
  });
  return { table, admin };
}
const code = (expected: string) => expect.objectContaining({ code: expected });

test('adds a node with the defaults: first pool, id from the URL, weight 10', async () => {
  const { admin, table } = await open();
  const node = await admin.add({ url: 'mqtt://10.0.0.9:1884' });
  expect(node).toEqual({
    ...{ id: '10.0.0.9:1884', url: 'mqtt://10.0.0.9:1884', pool: 'default', weight: 10, source: 'api' },
    ...{ state: 'enabled', health: 'unknown' },
  });
  expect(table.get(node.id)).toEqual(node);
});

test('refuses what is wrong, and names what would be right', async () => {
  const { admin, table } = await open();
  await expect(admin.add({ url: 'mqtt://a', pool: 'nope' })).rejects.toThrow(/default, meters/);
  await expect(admin.add({ url: 'mqtt://a', pool: 'nope' })).rejects.toThrow(code('POOL_UNKNOWN'));
  await expect(admin.add({ url: 'nonsense' })).rejects.toThrow(code('NODE_INVALID'));
  await expect(admin.add({ url: 'mqtt://a', weight: 101 })).rejects.toThrow(code('NODE_INVALID'));
  await expect(admin.add({ url: 'mqtt://elsewhere', id: 'd' })).rejects.toThrow(code('NODE_EXISTS'));
  expect(table.list()).toHaveLength(1);
});

test('changes weight and state, one without the other', async () => {
  const { admin } = await open();
  expect(await admin.change('d', { weight: 50 })).toMatchObject({ weight: 50, state: 'enabled' });
  expect(await admin.change('d', { state: 'draining' })).toMatchObject({ weight: 50, state: 'draining' });
  await expect(admin.change('d', { weight: 0 })).rejects.toThrow(code('NODE_INVALID'));
  await expect(admin.change('x', { weight: 10 })).rejects.toThrow(code('NODE_UNKNOWN'));
});

test('removes a node that was added; its decisions go with it', async () => {
  const { admin, table } = await open();
  await admin.add({ url: 'mqtt://a', id: 'a' });
  await admin.change('a', { state: 'disabled' });
  await admin.remove('a');
  expect(table.has('a')).toBe(false);
  await expect(admin.remove('a')).rejects.toThrow(code('NODE_UNKNOWN'));
  expect(await admin.add({ url: 'mqtt://a', id: 'a' })).toMatchObject({ state: 'enabled' });
});

test('a declared node that was removed stays away until it is added again, as it was declared', async () => {
  const { admin, table } = await open();
  await admin.change('d', { weight: 50, state: 'disabled' });
  await admin.remove('d');
  await admin.add({ url: 'mqtt://other', id: 'o' });
  expect(table.has('d')).toBe(false);
  await expect(admin.add({ url: 'mqtt://elsewhere', id: 'd' })).rejects.toThrow(
    /declared as mqtt:\/\/d:1883/,
  );
  expect(await admin.add({ url: 'mqtt://d:1883', id: 'd' })).toEqual({
    ...declaredNode,
    ...{ state: 'enabled', health: 'unknown' },
  });
});

test('a declared node may come back with another weight', async () => {
  const { admin } = await open();
  await admin.remove('d');
  expect(await admin.add({ url: 'mqtt://d:1883', id: 'd', weight: 7 })).toMatchObject({ weight: 7 });
});

test('the greatest number of connections can be given and changed, within bounds', async () => {
  const { admin } = await open();
  expect(await admin.add({ url: 'mqtt://a:1883', id: 'a', maxConnections: 5 })).toMatchObject({
    maxConnections: 5,
  });
  expect(await admin.change('a', { maxConnections: 9 })).toMatchObject({ maxConnections: 9, weight: 10 });
  expect(await admin.change('a', { maxConnections: 0 })).not.toHaveProperty('maxConnections');
  await expect(admin.change('a', { maxConnections: -1 })).rejects.toEqual(code('NODE_INVALID'));
});

test('refuses a node that speaks something else than those of its pool', async () => {
  const { admin } = await open();
  await admin.add({ url: 'mqtt://10.0.0.9' });
  const refused = admin.add({ url: 'tcp://10.0.0.9:1884' });
  await expect(refused).rejects.toMatchObject({
    code: 'NODE_INVALID',
    message: expect.stringContaining('speaks TCP, and'),
  });
  await admin.add({ url: 'tcp://10.0.0.9:1884', pool: 'meters' });
});
