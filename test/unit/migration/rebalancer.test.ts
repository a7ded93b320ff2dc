import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import type { Load, MovesByProxy } from '../../../src/migration/peer-moves.ts';
import { createRebalancer } from '../../../src/migration/rebalancer.ts';
import { NodeTable } from '../../../src/nodes/table.ts';
import { silentLog } from '../../support/memory-backend.ts';
import { until } from '../../support/wait.ts';

/** Ids that every object of the language seems to have. */
const ids = ['constructor', '__proto__', 'hasOwnProperty', 'plain'];

test('nodes and proxies whose ids are words of the language are evened out as any others', async () => {
  const nodes = new NodeTable();
  for (const id of ids)
    nodes.put({ id, pool: 'default', url: `mqtt://${id}:1883`, weight: 10, source: 'config' });
  const loads: Load[] = [
    { proxy: '__proto__', live: [['plain', 8]] },
    { proxy: 'constructor', live: [] },
  ];
  const orders: MovesByProxy[] = [];
  const done = { state: 'done', moved: 0, failed: 0, left: 0, stays: 0, rate: 1, pace: 0 } as const;
  const rebalancer = createRebalancer({
    pools: () => parseConfig('', 'test').pools,
    nodes,
    connectionsAt: () => 0,
    peers: {
      loads: async () => loads,
      carryOut: async (moves) => void orders.push(moves),
      carried: async () => done,
    },
    log: silentLog,
    onProgress: () => {},
  });
  rebalancer.start({});
  await until(() => rebalancer.progress()?.state === 'blocked', 'it to end');
  expect(orders).toEqual([
    [
      [
        '__proto__',
        [
          { from: 'plain', to: 'constructor', count: 2 },
          { from: 'plain', to: '__proto__', count: 2 },
          { from: 'plain', to: 'hasOwnProperty', count: 2 },
        ],
      ],
      ['constructor', []],
    ],
  ]);
});
