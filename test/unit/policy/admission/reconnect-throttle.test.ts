import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createReconnectThrottle,
  createReconnectThrottleMemory,
} from '../../../../src/policy/admission/reconnect-throttle.ts';

const limits = { tolerated: 3, forgiveMs: 1000, firstDelayMs: 100, maxDelayMs: 1600 };
const throttle = () => createReconnectThrottle(createReconnectThrottleMemory(7), limits);
const START = 1e6;

test('a few quick connects cost nothing, then the delay doubles up to its greatest', () => {
  const delay = throttle();
  const delays = Array.from({ length: 11 }, () => delay('meter-7', '10.0.0.1', START));
  expect(delays).toEqual([0, 0, 0, 100, 200, 400, 800, 1600, 1600, 1600, 1600]);
});

test('it is forgiven in bounded time', () => {
  const delay = throttle();
  for (let i = 0; i < 1000; i++) delay('meter-7', '10.0.0.1', START);
  expect(delay('meter-7', '10.0.0.1', START + 4000)).toBe(200);
  expect(delay('meter-7', '10.0.0.1', START + 20_000)).toBe(0);
});

test('a device that connects no faster than it is forgiven never waits', () => {
  const delay = throttle();
  for (let i = 0; i < 1000; i++) expect(delay('meter-7', '10.0.0.1', START + i * 1000)).toBe(0);
});

test('the id from another address, another id, and no id are other devices', () => {
  const delay = throttle();
  for (let i = 0; i < 10; i++) delay('meter-7', '10.0.0.1', START);
  expect(delay('meter-7', '10.0.0.2', START)).toBe(0);
  expect(delay('meter-8', '10.0.0.1', START)).toBe(0);
  for (let i = 0; i < 10; i++) expect(delay('', '10.0.0.1', START)).toBe(0);
});

test('the delay is what a count that leaks says', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3000), { maxLength: 60 }), (waits) => {
      const delay = throttle();
      let nowMs = START;
      let count = 0;
      for (const waitMs of waits) {
        nowMs += waitMs;
        count = Math.min(Math.max(0, count - waitMs / limits.forgiveMs) + 1, 3 + 1 + 4);
        const expected = count <= 3 ? 0 : Math.min(1600, 100 * 2 ** (count - 4));
        const actual = delay('meter-7', '10.0.0.1', nowMs);
        if (Math.abs(count - 3) > 1e-9) expect(actual).toBeCloseTo(expected, 3);
      }
    }),
  );
});

test('a million devices that connect once hold nobody back, in the same memory', () => {
  const delay = throttle();
  let held = 0;
  for (let i = 0; i < 1_000_000; i++) {
    if (delay(`meter-${i}`, '10.0.0.1', START + i / 20) > 0) held++; // 20,000 a second
  }
  expect(held).toBeLessThan(10);
});

test('a device that connects over and over waits as long in the process after this one', () => {
  const old = createReconnectThrottleMemory(7);
  for (let i = 0; i < 5; i++) createReconnectThrottle(old, limits)('meter-7', '10.0.0.1', START);
  const known = structuredClone({ seed: old.seed, levels: old.levels.slice() });
  const next = createReconnectThrottle(createReconnectThrottleMemory(8, known), limits);
  expect(next('meter-7', '10.0.0.1', START)).toBe(400);
  expect(next('meter-8', '10.0.0.1', START)).toBe(0);
  const other = { seed: 9, levels: new Float64Array(64) };
  expect(createReconnectThrottleMemory(8, other).seed).toBe(8);
});
