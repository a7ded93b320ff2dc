import { expect, test } from 'vitest';
import { createSlowStart } from '../../../src/health/slow-start.ts';
import type { Node } from '../../../src/nodes/node.ts';

const node: Node = {
  id: 'a',
  pool: 'p',
  url: 'mqtt://a:1883',
  weight: 10,
  source: 'config',
  state: 'enabled',
  health: 'healthy',
};

function scene(slowStartMs = 10_000) {
  const clock = { ms: 0, now: () => clock.ms };
  const slow = createSlowStart(clock, () => slowStartMs);
  const shareAt = (ms: number): number => {
    clock.ms = ms;
    return slow.shareOf(node);
  };
  return { slow, shareAt };
}

test.each([
  ['that comes back', { kind: 'health', node, previous: { ...node, health: 'unhealthy' }, cause: '' }],
  ['that is enabled again', { kind: 'state', node, previous: { ...node, state: 'disabled' } }],
  ['that joins while Breakwater runs', { kind: 'added', node }],
] as const)('a node %s gets its share little by little', (_, change) => {
  const { slow, shareAt } = scene();
  slow.changed(change, false);
  expect([0, 50, 2_500, 9_000, 10_000].map(shareAt)).toEqual([0.01, 0.01, 0.25, 0.9, 1]);
  expect(slow.starting([node])).toEqual([]);
});

test.each([
  ['is there from the start', { kind: 'added', node }, true],
  [
    'was never found unhealthy',
    { kind: 'health', node, previous: { ...node, health: 'unknown' }, cause: '' },
    false,
  ],
  ['drains', { kind: 'state', node: { ...node, state: 'draining' }, previous: node }, false],
] as const)('a node that %s has its whole share', (_, change, initial) => {
  const { slow, shareAt } = scene();
  slow.changed(change, initial);
  expect(shareAt(0)).toBe(1);
});

test('0 turns it off; a node that went starts over', () => {
  const off = scene(0);
  off.slow.changed({ kind: 'added', node }, false);
  expect(off.shareAt(0)).toBe(1);
  const { slow, shareAt } = scene();
  slow.changed({ kind: 'added', node }, false);
  slow.changed({ kind: 'removed', node }, false);
  expect(shareAt(10)).toBe(1);
});
