import { expect, test } from 'vitest';
import type { DrainView, RebalanceView } from '../../../../src/admin/backend.ts';
import { BreakwaterError, type ErrorCode } from '../../../../src/base/errors.ts';
import { followMoves, movesLine } from '../../../../src/cli/commands/moves.ts';
import { drainSentence } from '../../../../src/cli/commands/node.ts';
import { rebalanceSentence } from '../../../../src/cli/commands/rebalance.ts';

const drain = (more: Partial<DrainView>): DrainView => ({
  ...{ node: 'a', state: 'moving', moved: 0, failed: 0, left: 0, stays: 0, rate: 100, pace: 0 },
  ...more,
});

test.each([
  [{ left: 80 }, '[------------------------]   0%  moved 0, failed 0, left 80, 0/s'],
  [
    { moved: 40, failed: 1, left: 40, pace: 19.6, timeLeft: 2.04 },
    '[############------------]  50%  moved 40, failed 1, left 40, 20/s, 3 s to go',
  ],
  [
    { moved: 1, left: 999, timeLeft: 600 },
    '[------------------------]   0%  moved 1, failed 0, left 999, 0/s, 10 min to go',
  ],
  [{ moved: 80, timeLeft: 0 }, '[########################] 100%  moved 80, failed 0, left 0, 0/s'],
  [{}, '[########################] 100%  moved 0, failed 0, left 0, 0/s'],
])('a line of progress: %o', (view, line) => {
  expect(movesLine(drain(view))).toBe(line);
});

test.each([
  [{ state: 'done', moved: 3 }, 'node a is empty; sessions moved: 3'],
  [{ state: 'off', left: 7 }, 'node a is not draining any more; connections left: 7'],
  [
    { state: 'blocked', moved: 2, left: 5, stays: 4 },
    'node a is not empty; sessions moved: 2, left: 5, of which 4 stay until they leave by themselves (relay mode) and 1 are taken by no other node',
  ],
] as const)('how a drain ended: %o', (view, sentence) => {
  expect(drainSentence(drain(view))).toBe(sentence);
});

test.each([
  [
    'done',
    0.042,
    'default is even; sessions moved: 9, fullest and emptiest node differ by 4% of the fair share',
  ],
  [
    'done',
    3,
    'default is as even as whole sessions can be; sessions moved: 9, fullest and emptiest node differ by 300% of the fair share',
  ],
  [
    'blocked',
    0.042,
    'default is not even, and nothing more can be moved; sessions moved: 9, fullest and emptiest node differ by 4% of the fair share',
  ],
] as const)('how a rebalance ended: %s, %d', (state, spread, sentence) => {
  const { node: _, stays: __, ...moves } = drain({ state, moved: 9 });
  const view: RebalanceView = { ...moves, pools: ['default'], tolerance: 0.1, spread };
  expect(rebalanceSentence(view)).toBe(sentence);
});

test('moves are followed on where the proxy is upgraded meanwhile, and other failures are told at once', async () => {
  /** Looks of which the second fails once. */
  const looks = (code: ErrorCode) => {
    let count = 0;
    return async (): Promise<DrainView> => {
      count++;
      if (count === 2) throw new BreakwaterError(code, 'it fails');
      return drain(count < 4 ? { left: 1 } : { state: 'done', moved: 2 });
    };
  };
  expect(await followMoves(looks('ADMIN_UNREACHABLE'), true)).toMatchObject({ state: 'done', moved: 2 });
  await expect(followMoves(looks('NODE_UNKNOWN'), true)).rejects.toThrow('it fails');
});
