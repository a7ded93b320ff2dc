import { expect, test } from 'vitest';
import { LossWindow } from '../../../src/health/loss-window.ts';

/** Loses links of devices 0, 1, … at these times, of a node that had `had` before; tells at which loss it was proof. */
function proofAt(times: readonly number[], had: number, deviceOf = (i: number) => i): number | undefined {
  const window = new LossWindow();
  const first = times.findIndex((nowMs, i) => {
    window.add(nowMs, [deviceOf(i)], had - i);
    return window.isProof;
  });
  return first < 0 ? undefined : first + 1;
}

const at = (count: number, stepMs: number, startMs = 0) =>
  Array.from({ length: count }, (_, i) => startMs + i * stepMs);

test('half of the links within a second are proof', () => {
  expect(proofAt(at(50, 1), 100)).toBe(50);
  expect(proofAt(at(49, 1), 100)).toBe(undefined);
  expect(proofAt(at(50, 9), 100)).toBe(50);
});

test('two devices prove nothing, however few the node has; three of three do', () => {
  expect(proofAt(at(2, 1), 2)).toBe(undefined);
  expect(proofAt(at(3, 1), 3)).toBe(3);
  expect(proofAt(at(2, 1), 1_000)).toBe(undefined);
});

test('one device that is thrown out over and over is one device', () => {
  expect(proofAt(at(100, 5), 3, () => 7)).toBe(undefined);
  expect(proofAt(at(100, 5), 3, (i) => i % 2)).toBe(undefined);
});

test('losses older than a second do not count', () => {
  expect(proofAt(at(50, 100), 100)).toBe(undefined);
  expect(proofAt([...at(30, 1), ...at(30, 1, 1500)], 100)).toBe(undefined);
});

test('a burst of up to half a second is seen whole, wherever the half seconds begin', () => {
  for (let start = 0; start < 1000; start += 50) expect(proofAt(at(50, 10, start), 100)).toBe(50);
});

test('what the node had is what the first of them saw: those that wait for an answer are still counted there, or not', () => {
  const window = new LossWindow();
  window.add(0, [1, 2], 10);
  window.add(1, [3, 4], 4);
  expect([window.lost, window.had, window.isProof]).toEqual([4, 10, false]);
  window.add(2, [5], 4);
  expect(window.isProof).toBe(true);
  window.clear();
  expect([window.lost, window.had, window.isProof]).toEqual([0, 0, false]);
});

test('what is explained does not count', () => {
  const window = new LossWindow();
  window.add(0, [1, 2], 4);
  window.add(500, [3, 4], 4);
  for (const device of [1, 3, 9]) window.remove(device);
  expect([window.lost, window.isProof]).toEqual([2, false]);
});

test('devices that come and are thrown out one after the other were never there together', () => {
  const window = new LossWindow();
  for (let device = 0; device < 50; device++) {
    window.add(device * 20, [device], 2);
    expect(window.isProof).toBe(false);
  }
});
