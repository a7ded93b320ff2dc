import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type FlipState, flip, unobserved } from '../../../src/health/flip.ts';

const thresholds = { unhealthyThreshold: 3, healthyThreshold: 2 };
const after = (results: boolean[], from: FlipState = unobserved) =>
  results.reduce((state, ok) => flip(state, ok, thresholds), from);

test('the first result decides at once', () => {
  expect(after([true]).health).toBe('healthy');
  expect(after([false]).health).toBe('unhealthy');
});

test('turns unhealthy at the third failure in a row and healthy at the second success', () => {
  expect(after([true, false, false]).health).toBe('healthy');
  expect(after([true, false, false, false]).health).toBe('unhealthy');
  expect(after([false, true]).health).toBe('unhealthy');
  expect(after([false, true, true]).health).toBe('healthy');
});

test('one result for the present health starts the count anew', () => {
  expect(after([true, false, false, true, false, false]).health).toBe('healthy');
  expect(after([false, true, false, true]).health).toBe('unhealthy');
});

test('health is that of the last run that was long enough', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1 }), (results) => {
      let expected = results[0];
      let run = 0;
      for (const [i, ok] of results.entries()) {
        run = i > 0 && results[i - 1] === ok ? run + 1 : 1;
        if (run >= (ok ? 2 : 3)) expected = ok;
      }
      expect(after(results).health).toBe(expected ? 'healthy' : 'unhealthy');
    }),
  );
});
