import { expect, test } from 'vitest';
import { LostProxies } from '../../../src/membership/lost-proxies.ts';
import type { LivingProxy } from '../../../src/membership/store/store.ts';

/** One heartbeat a second; each step is one. */
function scene() {
  const told: string[] = [];
  const clock = { nowMs: 1_800_000_000_000, now: () => clock.nowMs };
  const lost = new LostProxies({
    ...{ clock, heartbeatMs: 1_000 },
    onLost: ({ id, connections }) => told.push(`${id} lost with ${connections}`),
    onBack: (id) => told.push(`${id} back`),
  });
  const beat = (...seen: readonly (readonly [id: string, lastSeen: number])[]) => {
    clock.nowMs += 1_000;
    lost.update(seen.map(([id, lastSeen]) => ({ id, lastSeen, connections: 300 }) as LivingProxy));
  };
  return { lost, told, beat, clock };
}

test('a proxy that is killed is lost, until it is back', () => {
  const { lost, told, beat } = scene();
  for (const lastSeen of [0, 1, 2]) beat(['edge-2', lastSeen]);
  for (let i = 0; i < 3; i++) beat();
  expect(told).toEqual(['edge-2 lost with 300']);
  expect(lost.list()).toMatchObject([{ id: 'edge-2', connections: 300 }]);
  beat(['edge-2', 0]);
  expect(told.at(-1)).toBe('edge-2 back');
  expect(lost.list()).toEqual([]);
});

test('a proxy that takes its leave is not lost', () => {
  const { told, beat } = scene();
  beat(['edge-2', 0.4]);
  for (let i = 0; i < 5; i++) beat();
  expect(told).toEqual([]);
});

test('a store that comes back empty has lost nobody', () => {
  const { told, beat } = scene();
  beat(['edge-2', 2]);
  beat();
  beat(['edge-2', 0]);
  for (let i = 0; i < 5; i++) beat(['edge-2', 0]);
  expect(told).toEqual([]);
});

test('one that does not come back is forgotten after a quarter of an hour, and no more than 64 are remembered', () => {
  const { lost, beat, clock } = scene();
  beat(...Array.from({ length: 100 }, (_, i) => [`pod-${i}`, 2] as const));
  for (let i = 0; i < 4; i++) beat();
  expect(lost.list()).toHaveLength(64);
  clock.nowMs += 15 * 60_000;
  beat();
  expect(lost.list()).toEqual([]);
});
