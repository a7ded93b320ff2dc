import { expect, test } from 'vitest';
import { RefusalMinutes } from '../../../src/journal/refusal-minutes.ts';

test('what counters have grown by is told once a minute, by reason', () => {
  const minutes = new RefusalMinutes(30_000);
  const totals = new Map([
    ['not-mqtt', 5],
    ['banned', 0],
  ]);
  const look = (nowMs: number) =>
    minutes.look(nowMs, () => [...totals].map(([reason, count]) => ({ reason, count })));
  expect(look(59_999)).toEqual([]);
  expect(look(60_100)).toEqual([{ reason: 'not-mqtt', count: 5 }]);
  totals.set('banned', 3);
  expect(look(119_000)).toEqual([]);
  expect(look(120_000)).toEqual([{ reason: 'banned', count: 3 }]);
  expect(look(500_000)).toEqual([]);
});
