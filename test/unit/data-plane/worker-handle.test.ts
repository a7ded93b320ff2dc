import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WorkerHandle } from '../../../src/data-plane/worker-handle.ts';
import type { Report, WorkerStart } from '../../../src/data-plane-api/messages.ts';
import { until } from '../../support/wait.ts';

const script = pathToFileURL('test/support/lazy-worker.mjs');

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

function start(thread: number) {
  const ends: [string, boolean][] = [];
  const reports: Report['type'][] = [];
  const handle = new WorkerHandle(
    { thread } as WorkerStart,
    {
      onReport: ({ type }) => reports.push(type),
      onExit: ({ message }, hasListened) => ends.push([message, hasListened]),
    },
    { script, youngGenerationMb: 1 },
  );
  return { handle, ends, reports };
}

test('a worker that does not say that it is ready is ended', async () => {
  const { handle, ends } = start(0);
  await new Promise((resolve) => handle.worker.once('online', resolve));
  vi.advanceTimersByTime(29_000);
  expect(ends).toEqual([]);
  vi.advanceTimersByTime(2_000);
  await until(() => ends.length > 0, 'its end');
  expect(ends).toEqual([['it did not start in time', false]]);
});

test('a worker that has left its devices and does not end is ended: they wait for that', async () => {
  const { handle, ends, reports } = start(1);
  await until(() => reports.includes('ready'), 'it to be ready');
  vi.advanceTimersByTime(60_000);
  await handle.begin([]);
  await until(() => vi.getTimerCount() > 0, 'it to leave its devices');
  vi.advanceTimersByTime(6_000);
  await until(() => ends.length > 0, 'its end');
  expect(ends).toEqual([['it did not end in time', true]]);
});
