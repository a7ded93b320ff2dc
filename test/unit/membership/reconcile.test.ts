import { expect, test } from 'vitest';
import type { DiscoveredNode } from '../../../src/membership/discovery/discovery.ts';
import { desiredNodes, reconcile } from '../../../src/membership/reconcile.ts';
import type { BeatingNode, Decision, Membership } from '../../../src/membership/store/store.ts';
import type { NodeSpec } from '../../../src/nodes/node.ts';
import { type NodeChange, NodeTable } from '../../../src/nodes/table.ts';

const spec = (id: string, changes: Partial<NodeSpec> = {}): NodeSpec => ({
  id,
  pool: 'default',
  url: `mqtt://${id}:1883`,
  weight: 10,
  source: 'api',
  ...changes,
});

const membership = (nodes: readonly BeatingNode[], decisions: Record<string, Decision> = {}) => ({
  nodes: new Map(nodes.map((node) => [node.id, { ...node, late: false }])),
  decisions: new Map(Object.entries(decisions)),
  bans: new Map(),
});

const desired = (
  declared: readonly NodeSpec[],
  shared: Membership,
  discovered: readonly DiscoveredNode[] = [],
) => desiredNodes(declared, discovered, shared);

test('declared and added nodes together, enabled unless decided otherwise', () => {
  expect(desired([spec('a', { source: 'config' })], membership([spec('b')]))).toEqual([
    { spec: spec('b'), state: 'enabled' },
    { spec: spec('a', { source: 'config' }), state: 'enabled' },
  ]);
});

test('what this proxy declares stands over what was added at run time', () => {
  const declared = spec('a', { source: 'config', url: 'mqtt://here:1883' });
  expect(desired([declared], membership([spec('a')]))).toEqual([{ spec: declared, state: 'enabled' }]);
});

test('what a person decided is laid over both', () => {
  const decisions: Record<string, Decision> = { a: { weight: 50, state: 'draining' }, b: { removed: true } };
  expect(desired([spec('a'), spec('b')], membership([], decisions))).toEqual([
    { spec: spec('a', { weight: 50 }), state: 'draining' },
  ]);
});

test('what a person decided of the greatest number of connections counts; 0 takes the limit away', () => {
  const decisions: Record<string, Decision> = { a: { maxConnections: 7 }, b: { maxConnections: 0 } };
  const nodes = [spec('a'), { ...spec('b'), maxConnections: 5 }, { ...spec('c'), maxConnections: 5 }];
  const limits = desiredNodes(nodes, [], membership([], decisions)).map((node) => node.spec.maxConnections);
  expect(limits).toEqual([7, undefined, 5]);
});

test('a decision about a node that nobody has is kept for later', () => {
  expect(desired([], membership([], { gone: { weight: 50 } }))).toEqual([]);
});

test('the table comes to what is desired, and only what differs is told', () => {
  const table = new NodeTable();
  reconcile(table, desired([spec('a'), spec('b'), spec('c')], membership([])));
  const changes: NodeChange[] = [];
  table.onChange((change) => changes.push(change));

  reconcile(table, desired([spec('a'), spec('b'), spec('d')], membership([], { b: { state: 'disabled' } })));
  expect(changes.map(({ kind, node }) => `${kind} ${node.id}`)).toEqual(['removed c', 'state b', 'added d']);
  expect(table.list().map(({ id, state }) => [id, state])).toEqual([
    ['a', 'enabled'],
    ['b', 'disabled'],
    ['d', 'enabled'],
  ]);
});

test('a decision that is taken back leaves what was declared', () => {
  const table = new NodeTable();
  reconcile(table, desired([spec('a')], membership([], { a: { weight: 99, state: 'disabled' } })));
  reconcile(table, desired([spec('a')], membership([])));
  expect(table.get('a')).toMatchObject({ weight: 10, state: 'enabled' });
});

test('a discovered node stands over one that was added and behind a declared one, and drains where its source says so', () => {
  const found = spec('a', { source: 'dns', url: 'mqtt://found:1883' });
  const discovered = [{ spec: found, draining: true }];
  expect(desired([], membership([spec('a')]), discovered)).toEqual([{ spec: found, state: 'draining' }]);
  const declared = spec('a', { source: 'config' });
  expect(desired([declared], membership([]), discovered)[0]?.spec).toEqual(declared);
});

test.each([
  [undefined, 'draining'],
  ['enabled', 'draining'],
  ['disabled', 'disabled'],
] as const)('a node that is leaving, and that a person %s, is %s', (state, expected) => {
  const shared = membership([{ ...spec('a', { source: 'self' }), leaving: true }], { a: { state } });
  expect(desired([], shared)).toEqual([{ spec: spec('a', { source: 'self' }), state: expected }]);
});

test('a discovered node that a person disabled, or enabled, stays so', () => {
  const discovered = [{ spec: spec('a', { source: 'emqx' }), draining: true }];
  for (const state of ['disabled', 'enabled'] as const) {
    expect(desired([], membership([], { a: { state } }), discovered)[0]?.state).toBe(state);
  }
});
