import { expect, test } from 'vitest';
import { createDrainWatch } from '../../../src/migration/drain-watch.ts';
import type { AdminState, Node } from '../../../src/nodes/node.ts';

const node = (id: string, state: AdminState): Node => ({
  ...{ id, pool: 'default', url: `mqtt://${id}:1883`, weight: 10, source: 'api' },
  ...{ state, health: 'healthy' },
});

function open() {
  const live: Record<string, number> = {};
  const drained: string[] = [];
  const look = createDrainWatch(
    (id) => live[id] ?? 0,
    ({ id }) => drained.push(id),
  );
  return { live, drained, look };
}

test('says once that the last connection of a draining node has left', () => {
  const { live, drained, look } = open();
  live.a = 2;
  look([node('a', 'draining'), node('b', 'enabled'), node('c', 'disabled')]);
  expect(drained).toEqual([]);
  live.a = 0;
  look([node('a', 'draining')]);
  look([node('a', 'draining')]);
  expect(drained).toEqual(['a']);
});

test.each(['enabled', undefined] as const)('says it again in a later drain (between: %s)', (between) => {
  const { drained, look } = open();
  look([node('a', 'draining')]);
  look(between === undefined ? [] : [node('a', between)]);
  look([node('a', 'draining')]);
  expect(drained).toEqual(['a', 'a']);
});
