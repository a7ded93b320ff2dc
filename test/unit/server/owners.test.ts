import { expect, test } from 'vitest';
import { createOwners } from '../../../src/server/owners.ts';

function stage() {
  const told: string[] = [];
  const owners = createOwners((thread, clientId, sinceMs) =>
    told.push(`thread ${thread} lost ${clientId} at ${sinceMs}`),
  );
  return { owners, told };
}

test('the thread of an older connection is told when another thread has the client id (rule 14)', () => {
  const { owners, told } = stage();
  owners.owned(0, 'dev', 1);
  owners.owned(1, 'dev', 2);
  owners.owned(2, 'dev', 3);
  expect(told).toEqual(['thread 0 lost dev at 2', 'thread 1 lost dev at 3']);
});

test('a thread that has it already knows by itself', () => {
  const { owners, told } = stage();
  owners.owned(0, 'dev', 1);
  owners.owned(0, 'dev', 2);
  expect(told).toEqual([]);
});

test('the newest connection wins, even if its thread is heard of before that of an older one', () => {
  const { owners, told } = stage();
  owners.owned(0, 'dev', 1);
  owners.owned(0, 'dev', 3); // back at thread 0, after a moment at thread 1
  owners.owned(1, 'dev', 2);
  expect(told).toEqual(['thread 1 lost dev at 3']);
  owners.disowned(1, 'dev');
  owners.owned(2, 'dev', 4);
  expect(told.at(-1)).toBe('thread 0 lost dev at 4');
});

test('an older connection that ends late does not take it from the newer one', () => {
  const { owners, told } = stage();
  owners.owned(0, 'dev', 1);
  owners.owned(1, 'dev', 2);
  owners.disowned(0, 'dev');
  owners.owned(2, 'dev', 3);
  expect(told).toEqual(['thread 0 lost dev at 2', 'thread 1 lost dev at 3']);
});

test('nobody is told of a connection that has ended, or whose thread has died', () => {
  const { owners, told } = stage();
  owners.owned(0, 'gone', 1);
  owners.disowned(0, 'gone');
  owners.owned(0, 'lost', 1);
  owners.owned(1, 'kept', 1);
  owners.forget(0);
  for (const clientId of ['gone', 'lost', 'kept']) owners.owned(2, clientId, 2);
  expect(told).toEqual(['thread 1 lost kept at 2']);
});
