import { expect, test } from 'vitest';
import { ProbeHistory } from '../../../src/health/probe-history.ts';

test('the last forty probes of each node are kept, oldest first, until the node is gone', () => {
  const history = new ProbeHistory();
  for (let at = 1; at <= 50; at++) history.add('a', { at, seconds: 0.1 });
  history.add('b', { at: 7, seconds: 2, failure: 'ECONNREFUSED' });
  expect(history.of('a').map(({ at }) => at)).toEqual(Array.from({ length: 40 }, (_, i) => i + 11));
  expect(history.of('b')).toEqual([{ at: 7, seconds: 2, failure: 'ECONNREFUSED' }]);
  history.forget('a');
  expect(history.of('a')).toEqual([]);
});
