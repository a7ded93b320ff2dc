import { expect, test } from 'vitest';
import { afterFailedDial, afterSilentLink, undisturbed } from '../../../src/health/passive.ts';

test('failed dials and silent links are counted apart: the one may be a device’s fault, the other is a node’s', () => {
  const state = afterSilentLink(afterFailedDial(afterFailedDial(undisturbed)));
  expect(state).toEqual({ failedDials: 2, silentLinks: 1 });
});
