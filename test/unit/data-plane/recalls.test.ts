import { expect, test } from 'vitest';
import { MAX_RECALLS, Recalls } from '../../../src/data-plane/recalls.ts';
import type { ThreadEvent } from '../../../src/data-plane-api/messages.ts';

test('each answer goes to who asked, once, and a full house is answered at once', () => {
  const told: ThreadEvent[] = [];
  const recalls = new Recalls((event) => told.push(event));
  const heard: (string | undefined)[] = [];
  const asker = { recalled: (node: string | undefined) => heard.push(node) };
  recalls.ask('default', 'meter', asker);
  expect(told).toEqual([{ type: 'recall', request: 1, pool: 'default', clientId: 'meter' }]);
  recalls.answered(1, 'n1');
  recalls.answered(1, 'n2');
  recalls.answered(77, 'n3');
  expect(heard).toEqual(['n1']);
  for (let i = 0; i < MAX_RECALLS; i++) recalls.ask('default', 'meter', { recalled: () => {} });
  recalls.ask('default', 'meter', asker);
  expect(heard).toEqual(['n1', undefined]);
});
