import { expect, test } from 'vitest';
import { Ledger } from '../../../bench/failover/ledger.ts';

function lostOf(...looks: readonly (readonly string[])[]): unknown {
  const ledger = new Ledger([{ subscriber: 0, qos: 2 }]);
  const sequence = ledger.published(0);
  for (const look of looks) ledger.markHalfway(look);
  ledger.acknowledged(0, sequence, 1);
  const { lost, lostHalfway } = ledger.account();
  return [lost.qos2, lostHalfway];
}

test('a lost message was halfway if it was half acknowledged at each look', () => {
  expect(lostOf(['0 0', '1 0'], ['0 0'])).toEqual([1, 1]);
  expect(lostOf(['0 0'], [])).toEqual([1, 0]);
  expect(lostOf([], ['0 0'])).toEqual([1, 0]);
  expect(lostOf()).toEqual([1, 0]);
});

test('a message that was halfway and has come is not lost', () => {
  const ledger = new Ledger([{ subscriber: 0, qos: 2 }]);
  ledger.markHalfway([`0 ${ledger.published(0)}`]);
  ledger.acknowledged(0, 0, 1);
  ledger.received(0, 0);
  expect(ledger.account().lostHalfway).toBe(0);
});
