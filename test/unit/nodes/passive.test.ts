import { expect, test } from 'vitest';
import { afterDial, afterFailedDial, undisturbed } from '../../../src/nodes/passive.ts';

test('failed dials add up until one succeeds', () => {
  const failed = afterFailedDial(afterFailedDial(undisturbed));
  expect(failed.failedDials).toBe(2);
  expect(afterDial(failed).failedDials).toBe(0);
});
