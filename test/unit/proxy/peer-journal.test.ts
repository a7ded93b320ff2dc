import { expect, test } from 'vitest';
import { inOrder } from '../../../src/proxy/peer-journal.ts';

test('what two proxies tell stands in one order, whichever of them is asked', () => {
  const told = (proxy: string, ...words: [at: string, what: string][]) =>
    words.map(([at, what]) => ({ proxy, at, what }));
  const one = told('p1', ['12:00:00.001', 'connected'], ['12:00:00.001', 'moved'], ['12:00:00.003', 'ended']);
  const two = told('p2', ['12:00:00.001', 'placed'], ['12:00:00.002', 'connected']);
  const whole = inOrder([...one, ...two]);
  expect(whole.map(({ what }) => what)).toEqual(['connected', 'moved', 'placed', 'connected', 'ended']);
  expect(inOrder([...two, ...one])).toEqual(whole);
});
