import { expect, test } from 'vitest';
import { desiredNodes, reconcile } from '../../../src/control/reconcile.ts';
import type { Decision } from '../../../src/membership/store.ts';
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

const membership = (nodes: readonly NodeSpec[], decisions: Record<string, Decision> = {}) => ({
  nodes: new Map(nodes.map((node) => [node.id, node])),
  decisions: new Map(Object.entries(decisions)),
});

test('declared and added nodes together, enabled unless decided otherwise', () => {
  expect(desiredNodes([spec('a', { source: 'config' })], membership([spec('b')]))).toEqual([
    { spec: spec('b'), state: 'enabled' },
    { spec: spec('a', { source: 'config' }), state: 'enabled' },
  ]);
});

test('what this proxy declares stands over what was added at run time', () => {
  const declared = spec('a', { source: 'config', url: 'mqtt://here:1883' });
  expect(desiredNodes([declared], membership([spec('a')]))).toEqual([{ spec: declared, state: 'enabled' }]);
});

test('what a person decided is laid over both', () => {
  const decisions: Record<string, Decision> = { a: { weight: 50, state: 'draining' }, b: { removed: true } };
  expect(desiredNodes([spec('a'), spec('b')], membership([], decisions))).toEqual([
    { spec: spec('a', { weight: 50 }), state: 'draining' },
  ]);
});

test('a decision about a node that nobody has is kept for later', () => {
  expect(desiredNodes([], membership([], { gone: { weight: 50 } }))).toEqual([]);
});

test('the table comes to what is desired, and only what differs is told', () => {
  const table = new NodeTable();
  reconcile(table, desiredNodes([spec('a'), spec('b'), spec('c')], membership([])));
  const changes: NodeChange[] = [];
  table.onChange((change) => changes.push(change));

  reconcile(
    table,
    desiredNodes([spec('a'), spec('b'), spec('d')], membership([], { b: { state: 'disabled' } })),
  );
  expect(changes.map(({ kind, node }) => `${kind} ${node.id}`)).toEqual(['removed c', 'state b', 'added d']);
  expect(table.list().map(({ id, state }) => [id, state])).toEqual([
    ['a', 'enabled'],
    ['b', 'disabled'],
    ['d', 'enabled'],
  ]);
});

test('a decision that is taken back leaves what was declared', () => {
  const table = new NodeTable();
  reconcile(table, desiredNodes([spec('a')], membership([], { a: { weight: 99, state: 'disabled' } })));
  reconcile(table, desiredNodes([spec('a')], membership([])));
  expect(table.get('a')).toMatchObject({ weight: 10, state: 'enabled' });
});
