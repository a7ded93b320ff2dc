import { expect, test } from 'vitest';
import type { MigrationResult } from '../../../src/connection/connection-host.ts';
import { isInVain, moveDelayMs } from '../../../src/connection/short-stays.ts';

const move: MigrationResult = {
  ...{ cause: 'link-lost', evidence: 'refused', from: 'a', to: 'b' },
  ...{ durationMs: 40, atMs: 0, sessionPresent: true },
};

/** So many moves, one after the other, and how long each node kept the session. */
function moves(count: number, stayMs: number, more: Partial<MigrationResult> = {}): MigrationResult[] {
  return Array.from({ length: count }, (_, i) => ({
    ...move,
    ...more,
    atMs: i * (stayMs + move.durationMs),
  }));
}

function after(history: readonly MigrationResult[], stayMs: number) {
  const nowMs = (history.at(-1)?.atMs ?? 0) + stayMs;
  return {
    delays: [moveDelayMs(history, nowMs, 0), moveDelayMs(history, nowMs, 0.999)],
    isInVain: isInVain(history, nowMs),
  };
}

test('the first moves are made at once; then each waits twice as long as the one before, up to a bound, with jitter', () => {
  const delays = Array.from({ length: 10 }, (_, count) =>
    after(moves(count, 100), 100).delays.map(Math.round),
  );
  expect(delays.slice(0, 5)).toEqual([
    [0, 0],
    [0, 0],
    [125, 250],
    [250, 500],
    [500, 1_000],
  ]);
  expect(delays[9]).toEqual([2_500, 4_998]);
});

test('after nine short stays the next move is no use', () => {
  expect(after(moves(8, 100), 100).isInVain).toBe(false);
  expect(after(moves(9, 100), 100).isInVain).toBe(true);
});

test('a node that keeps the session for ten seconds has taken it', () => {
  expect(after(moves(9, 9_999), 9_999).isInVain).toBe(true);
  expect(after(moves(9, 10_000), 9_999).delays).toEqual([0, 0]);
  expect(after(moves(9, 100), 10_000)).toEqual({ delays: [0, 0], isInVain: false });
});

test('moves on purpose do not count, nor do those that no node has taken', () => {
  expect(after(moves(9, 100, { cause: 'rebalance' }), 100).isInVain).toBe(false);
  expect(after(moves(9, 100, { to: undefined }), 100).isInVain).toBe(false);
  const history = [...moves(9, 100), { ...move, cause: 'drain' as const, to: undefined, atMs: 1_300 }];
  expect(isInVain(history, 1_350)).toBe(true);
});
