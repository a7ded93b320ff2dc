import { afterEach, expect, test, vi } from 'vitest';
import { Journal } from '../../../src/journal/journal.ts';
import { createEventBus } from '../../../src/proxy/event-bus.ts';

afterEach(() => void vi.useRealTimers());

test('a reader at another proxy is an audience for so long as it asks', () => {
  vi.useFakeTimers();
  const bus = createEventBus(new Journal('a', Date), { observe() {} });
  const told: boolean[] = [];
  bus.onAudience(() => told.push(bus.hasAudience()));
  bus.listen(5_000);
  vi.advanceTimersByTime(4_000);
  bus.listen(5_000);
  vi.advanceTimersByTime(4_000);
  expect(told).toEqual([true]);
  vi.advanceTimersByTime(1_000);
  expect(told).toEqual([true, false]);
});
