import { expect, test } from 'vitest';
import { poolsInPanic } from '../../../src/health/pool-watch.ts';
import type { AdminState, Health, Node } from '../../../src/nodes/node.ts';

const node = (pool: string, health: Health, state: AdminState = 'enabled'): Node => ({
  ...{ id: `${pool}-${health}-${state}`, pool, url: 'mqtt://a:1883', weight: 10, source: 'api' },
  ...{ state, health },
});

test.each([
  ['no nodes', [], []],
  ['one healthy', [node('p', 'unhealthy'), node('p', 'healthy')], []],
  ['one not yet known', [node('p', 'unknown'), node('p', 'unhealthy')], []],
  ['all unhealthy', [node('p', 'unhealthy'), node('q', 'healthy')], ['p']],
  ['the healthy one drains', [node('p', 'unhealthy'), node('p', 'healthy', 'draining')], ['p']],
  ['nobody is to take devices', [node('p', 'unhealthy', 'disabled')], []],
])('%s', (_, nodes, pools) => {
  expect([...poolsInPanic(nodes)]).toEqual(pools);
});
