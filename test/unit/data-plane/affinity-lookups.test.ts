import { expect, test } from 'vitest';
import { AffinityLookups, MAX_RECALLS } from '../../../src/data-plane/affinity-lookups.ts';
import type { WorkerEvent } from '../../../src/data-plane-api/messages.ts';

test('each answer goes to who asked, once, and a full house is answered at once', () => {
  const told: WorkerEvent[] = [];
  const affinityLookups = new AffinityLookups((event) => told.push(event));
  const heard: (string | undefined)[] = [];
  const asker = { recalled: (node: string | undefined) => heard.push(node) };
  affinityLookups.ask('default', 'meter', asker);
  expect(told).toEqual([{ type: 'recall', request: 1, pool: 'default', clientId: 'meter' }]);
  affinityLookups.answered(1, 'n1');
  affinityLookups.answered(1, 'n2');
  affinityLookups.answered(77, 'n3');
  expect(heard).toEqual(['n1']);
  for (let i = 0; i < MAX_RECALLS; i++) affinityLookups.ask('default', 'meter', { recalled: () => {} });
  affinityLookups.ask('default', 'meter', asker);
  expect(heard).toEqual(['n1', undefined]);
});
