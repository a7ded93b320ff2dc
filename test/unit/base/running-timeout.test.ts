import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runningTimeout } from '../../../src/base/running-timeout.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('it runs once, when the time is over and not before', () => {
  const run = vi.fn();
  runningTimeout(run, 1_100);
  vi.advanceTimersByTime(1_099);
  expect(run).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(run).toHaveBeenCalledTimes(1);
});

test('a time in which the process was stopped is one of its steps', () => {
  const run = vi.fn();
  runningTimeout(run, 1_000);
  vi.advanceTimersToNextTimer(); // however late that comes
  expect(run).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(1);
});

test('it does not run when the answer has come', () => {
  const run = vi.fn();
  const answered = runningTimeout(run, 1_000);
  vi.advanceTimersByTime(600);
  answered();
  vi.advanceTimersByTime(60_000);
  expect([run.mock.calls.length, vi.getTimerCount()]).toEqual([0, 0]);
});
