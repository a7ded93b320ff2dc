import { expect, test } from 'vitest';
import { afterDial, afterFailedDial, afterLostLink, undisturbed } from '../../../src/nodes/passive.ts';

/** Loses links at these times, of a node that had `live` before; tells at which loss the suspicion rose. */
function suspicionAt(times: number[], live: number, threshold = 3): number[] {
  let state = undisturbed;
  return times.flatMap((nowMs, i) => {
    const next = afterLostLink(state, nowMs, live - i - 1, threshold);
    state = next.state;
    return next.suspicious ? [i + 1] : [];
  });
}

const at = (count: number, stepMs: number, startMs = 0) =>
  Array.from({ length: count }, (_, i) => startMs + i * stepMs);

test('failed dials add up until one succeeds', () => {
  const failed = afterFailedDial(afterFailedDial(undisturbed));
  expect(failed.failedDials).toBe(2);
  expect(afterDial(failed).failedDials).toBe(0);
});

test('half of the connections within a second are a suspicion', () => {
  expect(suspicionAt(at(50, 1), 100)).toEqual([50]);
  expect(suspicionAt(at(49, 1), 100)).toEqual([]);
  expect(suspicionAt(at(50, 9), 100)).toEqual([50]);
});

test('fewer losses than the unhealthy threshold are none, be they all connections', () => {
  expect(suspicionAt(at(2, 1), 2)).toEqual([]);
  expect(suspicionAt(at(3, 1), 3)).toEqual([3]);
});

test('losses older than a second do not count', () => {
  expect(suspicionAt(at(50, 100), 100)).toEqual([]);
  expect(suspicionAt([...at(30, 1), ...at(30, 1, 1500)], 100)).toEqual([]);
});

test('a burst of up to half a second is seen whole, wherever the half seconds begin', () => {
  for (let start = 0; start < 1000; start += 50) expect(suspicionAt(at(50, 10, start), 100)).toEqual([50]);
});

test('after a suspicion the count begins anew', () => {
  expect(suspicionAt(at(10, 1), 10)).toEqual([5, 8]);
});
