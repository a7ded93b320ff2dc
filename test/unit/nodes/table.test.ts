import { beforeEach, expect, test } from 'vitest';
import type { NodeSpec } from '../../../src/nodes/node.ts';
import { type NodeChange, NodeTable } from '../../../src/nodes/table.ts';

const spec = (id: string, more: Partial<NodeSpec> = {}): NodeSpec => ({
  ...{ id, pool: 'default', url: `mqtt://${id}:1883`, weight: 10, source: 'api' },
  ...more,
});

let table: NodeTable;
let changes: NodeChange[];
const kinds = () => changes.map(({ kind, node }) => `${kind} ${node.id}`);

beforeEach(() => {
  table = new NodeTable();
  changes = [];
  table.put(spec('a'));
  table.onChange((change) => changes.push(change));
});

test('a new node is enabled and unknown, unless it comes with a state', () => {
  expect(table.put(spec('b'))).toEqual({ ...spec('b'), state: 'enabled', health: 'unknown' });
  expect(table.put(spec('c'), 'draining').state).toBe('draining');
  expect(kinds()).toEqual(['added b', 'added c']);
});

test('putting the same again changes nothing', () => {
  const { version } = table;
  table.put(spec('a'));
  expect(table.version).toBe(version);
  expect(changes).toEqual([]);
});

test('each change is told once, with what was before, and raises the version', () => {
  const { version } = table;
  const previous = table.get('a');
  table.setState('a', 'draining');
  table.setState('a', 'draining');
  table.setWeight('a', 20);
  table.setHealth('a', 'unhealthy', 'tcp probe failed 3 times: ECONNREFUSED');
  table.setHealth('a', 'unhealthy', 'again');
  table.remove('a');
  expect(kinds()).toEqual(['state a', 'weight a', 'health a', 'removed a']);
  expect(changes[0]).toEqual({ kind: 'state', previous, node: { ...previous, state: 'draining' } });
  expect(changes[2]).toMatchObject({
    cause: 'tcp probe failed 3 times: ECONNREFUSED',
    previous: { health: 'unknown' },
  });
  expect(table.version).toBe(version + 4);
  expect(table.list()).toEqual([]);
});

test('a put tells what of the declaration changed, and keeps the state', () => {
  table.setState('a', 'disabled');
  table.setHealth('a', 'healthy', 'x');
  changes.length = 0;
  table.put(spec('a', { weight: 30 }));
  expect(kinds()).toEqual(['weight a']);
  table.put(spec('a', { weight: 40, url: 'mqtt://elsewhere:1883' }), 'enabled');
  expect(kinds()).toEqual(['weight a', 'changed a', 'weight a', 'state a']);
  expect(table.get('a')).toMatchObject({ weight: 40, url: 'mqtt://elsewhere:1883', state: 'enabled' });
});

test('health was observed at an address: another address makes it unknown, another source does not', () => {
  table.setHealth('a', 'healthy', 'x');
  expect(table.put(spec('a', { source: 'dns' })).health).toBe('healthy');
  expect(table.put(spec('a', { probeUrl: 'http://a:80/' })).health).toBe('unknown');
});

test('an unknown id says which nodes exist', () => {
  table.put(spec('b'));
  for (const call of [
    () => table.get('x'),
    () => table.remove('x'),
    () => table.setState('x', 'enabled'),
    () => table.setWeight('x', 1),
    () => table.setHealth('x', 'healthy', ''),
  ]) {
    expect(call).toThrow(
      expect.objectContaining({ code: 'NODE_UNKNOWN', message: 'no node "x": nodes are a, b' }),
    );
  }
  for (let i = 0; i < 30; i++) table.put(spec(`n${i}`));
  expect(() => table.get('x')).toThrow(/n17 and 12 more$/);
  expect(() => new NodeTable().get('x')).toThrow('there are no nodes');
});

test('a weight out of range leaves everything as it was', () => {
  for (const weight of [0, 101, 1.5, Number.NaN]) {
    expect(() => table.setWeight('a', weight)).toThrow(expect.objectContaining({ code: 'NODE_INVALID' }));
    expect(() => table.put(spec('a', { weight, url: 'mqtt://b' }))).toThrow('weight');
  }
  expect(changes).toEqual([]);
});

test('nodes are listed in the order they came, and by pool', () => {
  table.put(spec('c', { pool: 'meters' }));
  table.put(spec('b'));
  expect(table.list().map(({ id }) => id)).toEqual(['a', 'c', 'b']);
  expect(table.byPool('default').map(({ id }) => id)).toEqual(['a', 'b']);
});

test('a change made by a listener is told after the present one, to all', () => {
  const seen: string[] = [];
  table.onChange(({ kind }) => kind === 'added' && table.setWeight('b', 50));
  const end = table.onChange(({ kind }) => seen.push(kind));
  table.put(spec('b'));
  expect(seen).toEqual(['added', 'weight']);
  end();
  table.remove('b');
  expect(seen).toHaveLength(2);
});
