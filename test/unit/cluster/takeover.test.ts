import type { Aedes } from 'aedes';
import { expect, test } from 'vitest';
import { keepWillsOnTakeover, type Wills } from '../../../cluster/takeover.ts';

test('the Wills of a node that died are published, except of devices that live at another node', async () => {
  const stored = [
    { clientId: 'gone', brokerId: 'dead' },
    { clientId: 'moved', brokerId: 'dead' },
    { clientId: 'moved', brokerId: 'living' },
    { clientId: 'home', brokerId: 'dead' },
    { clientId: 'home', brokerId: 'self' },
  ];
  const deleted: object[] = [];
  const wills: Wills = {
    async delWill(client: object) {
      deleted.push(client);
    },
    async *streamWill() {
      yield* stored;
    },
  };
  keepWillsOnTakeover({ id: 'self' } as Aedes, { on: () => ({}) as never }, wills);
  const published: object[] = [];
  for await (const will of wills.streamWill({ living: Date.now() })) published.push(will);
  expect(published).toEqual([{ clientId: 'gone', brokerId: 'dead' }]);
  expect(deleted).toEqual([
    { id: 'moved', brokerId: 'dead' },
    { id: 'home', brokerId: 'dead' },
  ]);
});
