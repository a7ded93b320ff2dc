import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from '../../../../src/policy/admission/token-bucket.ts';

test('a burst at once, then the pace', () => {
  const bucket = new TokenBucket(10, 3);
  const taken = [0, 0, 0, 0, 99, 100, 100, 200].map((nowMs) => bucket.take(1, nowMs));
  expect(taken).toEqual([true, true, true, false, false, true, false, true]);
});

test('what was not used adds up to one burst and no more', () => {
  const bucket = new TokenBucket(10, 3);
  expect([bucket.take(3, 1e6), bucket.take(1, 1e6)]).toEqual([true, false]);
});

test('who is paced may overdraw, and waits until the debt is paid', () => {
  const bucket = new TokenBucket(1000, 500); // bytes a second
  expect(bucket.takeAndDelay(500, 0)).toBe(0);
  expect(bucket.takeAndDelay(250, 0)).toBe(250);
  expect(bucket.takeAndDelay(0, 100)).toBe(150);
  expect(bucket.takeAndDelay(0, 250)).toBe(0);
});

const step = fc.record({ waitMs: fc.nat(50), tokens: fc.integer({ min: 1, max: 8 }) });
const steps = fc.array(step, { maxLength: 60 });

test('it takes as a bucket does that is refilled every millisecond', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(10, 50, 125, 500),
      fc.integer({ min: 1, max: 20 }),
      steps,
      (rate, burst, all) => {
        const bucket = new TokenBucket(rate, burst);
        let nowMs = 0;
        let inBucket = burst * 1000; // thousandths of a token, so that the model counts in whole numbers
        for (const { waitMs, tokens } of all) {
          nowMs += waitMs;
          inBucket = Math.min(burst * 1000, inBucket + waitMs * rate);
          const has = inBucket >= tokens * 1000;
          if (has) inBucket -= tokens * 1000;
          expect(bucket.take(tokens, nowMs)).toBe(has);
        }
      },
    ),
  );
});

test('a sender that waits as told never exceeds burst and rate over any time', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const bucket = new TokenBucket(100, 10);
      let nowMs = 0;
      let sent = 0;
      for (const { waitMs, tokens } of all) {
        nowMs += waitMs;
        expect(sent).toBeLessThanOrEqual(10 + nowMs * 0.1 + 1e-6);
        sent += tokens;
        nowMs += bucket.takeAndDelay(tokens, nowMs);
        expect(sent).toBeLessThanOrEqual(10 + nowMs * 0.1 + 0.001);
      }
    }),
  );
});
