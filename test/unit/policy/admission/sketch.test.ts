import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createCountSketch,
  createLevelSketch,
  sketchLength,
} from '../../../../src/policy/admission/sketch.ts';
import { mix32 } from '../../../../src/policy/balance/hash.ts';

/** Few cells, so that keys meet. */
const length = sketchLength(16);
const key = fc.nat(40);
const keyOf = (each: number): number => mix32(each) | 0;

test('the length is four cells for each of a power of two', () => {
  expect([1, 16, 17, 50_000].map(sketchLength)).toEqual([64, 64, 128, 262_144]);
});

test('a count is never below the truth, and exact when all have left', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.nat(2)), { maxLength: 100 }), (joins) => {
      const stripes = [0, 1, 2].map(() => new Int32Array(length));
      const threads = stripes.map((own) => createCountSketch(stripes, own));
      const truth = new Map<number, number>();
      for (const [each, thread] of joins) {
        threads[thread]?.add(keyOf(each), 1);
        truth.set(each, (truth.get(each) ?? 0) + 1);
      }
      for (const [each, count] of truth) {
        for (const sketch of threads) expect(sketch.count(keyOf(each))).toBeGreaterThanOrEqual(count);
      }
      for (const [each, thread] of joins) threads[thread]?.add(keyOf(each), -1);
      expect(stripes.every((stripe) => stripe.every((cell) => cell === 0))).toBe(true);
    }),
  );
});

test('a level is never below the truth, and goes down by itself', () => {
  const raise = fc.record({ each: key, waitMs: fc.nat(20), byMs: fc.integer({ min: 1, max: 30 }) });
  fc.assert(
    fc.property(fc.array(raise, { maxLength: 100 }), (raises) => {
      const sketch = createLevelSketch(new Float64Array(length));
      const emptyAtMs = new Map<number, number>();
      let nowMs = 1e9;
      for (const { each, waitMs, byMs } of raises) {
        nowMs += waitMs;
        const before = sketch.level(keyOf(each), nowMs);
        expect(sketch.raise(keyOf(each), byMs, 2 * before + 1000, nowMs)).toBe(before + byMs);
        emptyAtMs.set(each, Math.max(emptyAtMs.get(each) ?? 0, nowMs) + byMs);
        for (const [other, at] of emptyAtMs) {
          expect(sketch.level(keyOf(other), nowMs)).toBeGreaterThanOrEqual(at - nowMs);
        }
      }
      for (const each of emptyAtMs.keys()) expect(sketch.level(keyOf(each), nowMs + 3000)).toBe(0);
    }),
  );
});

test('keys that are few for the cells are told apart', () => {
  const counts = new Int32Array(sketchLength(4096));
  const sketch = createCountSketch([counts], counts);
  for (let each = 0; each < 1000; each++) sketch.add(keyOf(each), 1);
  const wrong = Array.from({ length: 1000 }, (_, each) => sketch.count(keyOf(each))).filter(
    (count) => count > 1,
  );
  expect(wrong.length).toBeLessThan(10);
});

test.each([
  [4096, 0.25],
  [1024, 0.015],
])('beside %i bad keys in a sketch for 4,096, at most %d of the good ones are taken for bad', (bad, share) => {
  const counts = new Int32Array(sketchLength(4096));
  const sketch = createCountSketch([counts], counts);
  for (let each = 0; each < bad; each++) sketch.add(keyOf(each), 1);
  const good = Array.from({ length: 10_000 }, (_, each) => keyOf(1e6 + each));
  expect(good.filter((each) => sketch.count(each) > 0).length).toBeLessThan(share * good.length);
});
