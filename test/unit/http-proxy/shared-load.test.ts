import { expect, test } from 'vitest';
import { SharedLoad } from '../../../src/http-proxy/shared-load.ts';

test('one source has at most half of the places, and another one the rest', () => {
  const load = new SharedLoad(100);
  while (load.hasRoom('a')) load.add('a');
  expect(load.inFlight).toBe(50);
  while (load.hasRoom('b')) load.add('b');
  expect(load.inFlight).toBe(100);
  expect(load.hasRoom('c')).toBe(false);
  load.remove('a');
  expect([load.hasRoom('a'), load.hasRoom('b'), load.hasRoom('c')]).toEqual([true, false, true]);
});

test('where there are few places, one source may have a few in any case', () => {
  const load = new SharedLoad(3);
  while (load.hasRoom('a')) load.add('a');
  expect(load.inFlight).toBe(3);
  for (let i = 0; i < 3; i++) load.remove('a');
  expect([load.inFlight, load.hasRoom('a')]).toEqual([0, true]);
});
