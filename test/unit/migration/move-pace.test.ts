import { expect, test } from 'vitest';
import { MovePace } from '../../../src/migration/move-pace.ts';

/** Answers as many as may be under way, each after so long; returns the time. */
function round(pace: MovePace, tookMs: number, nowMs: number): number {
  for (let left = pace.room; left > 0; left--) pace.answered(tookMs, nowMs + tookMs);
  return nowMs + tookMs;
}

test('begins with what the rate needs, and grows by one with each round that is answered quickly, up to the rate', () => {
  const pace = new MovePace(100);
  expect(pace.room).toBe(10);
  let nowMs = round(pace, 20, 0);
  expect(pace.room).toBe(10); // 10.96
  nowMs = round(pace, 20, nowMs);
  expect(pace.room).toBe(11);
  for (let i = 0; i < 200; i++) nowMs = round(pace, 20, nowMs);
  expect(pace.room).toBe(100);
});

test('is halved once for all slow answers of one round, and never stops', () => {
  const pace = new MovePace(100);
  round(pace, 20, 0);
  let nowMs = round(pace, 300, 1_000);
  expect(pace.room).toBe(5);
  nowMs = round(pace, 300, nowMs);
  for (let i = 0; i < 20; i++) nowMs = round(pace, 2_000, nowMs);
  expect(pace.room).toBe(4);
});

test('a cluster that always needs half a second for a CONNECT is not slow', () => {
  const pace = new MovePace(100);
  let nowMs = 0;
  for (let i = 0; i < 5; i++) nowMs = round(pace, 500, nowMs);
  expect(pace.room).toBeGreaterThan(10);
  round(pace, 2_100, nowMs);
  expect(pace.room).toBeLessThan(10);
});

test('a move that fails is a sign too, once a second', () => {
  const pace = new MovePace(1_000);
  for (let i = 0; i < 5; i++) pace.failed(5_000 + i);
  expect(pace.room).toBe(50);
  pace.failed(6_000);
  expect(pace.room).toBe(25);
});

test('a rate that is changed holds at once; slow rates are kept', () => {
  const pace = new MovePace(2);
  expect(pace.room).toBe(2);
  pace.failed(0);
  expect(pace.room).toBe(2);
  pace.rate = 500;
  expect(pace.room).toBe(50);
  pace.rate = 0.5;
  expect(pace.room).toBe(1);
});
