import { expect, test } from 'vitest';
import { createOwners } from '../../../src/server/owners.ts';

function stage() {
  const told: string[] = [];
  const owners = createOwners((thread, clientId) => told.push(`thread ${thread} loses ${clientId}`));
  return { owners, told };
}

test('the thread of an older connection is told when another thread has the client id (rule 14)', () => {
  const { owners, told } = stage();
  owners.owned(0, 'dev');
  owners.owned(1, 'dev');
  owners.owned(2, 'dev');
  expect(told).toEqual(['thread 0 loses dev', 'thread 1 loses dev']);
});

test('a thread that has it already knows by itself', () => {
  const { owners, told } = stage();
  owners.owned(0, 'dev');
  owners.owned(0, 'dev');
  expect(told).toEqual([]);
});

test('an older connection that ends late does not take it from the newer one', () => {
  const { owners, told } = stage();
  owners.owned(0, 'dev');
  owners.owned(1, 'dev');
  owners.disowned(0, 'dev');
  owners.owned(2, 'dev');
  expect(told).toEqual(['thread 0 loses dev', 'thread 1 loses dev']);
});

test('nobody is told of a connection that has ended, or whose thread has died', () => {
  const { owners, told } = stage();
  owners.owned(0, 'gone');
  owners.disowned(0, 'gone');
  owners.owned(0, 'lost');
  owners.owned(1, 'kept');
  owners.forget(0);
  for (const clientId of ['gone', 'lost', 'kept']) owners.owned(2, clientId);
  expect(told).toEqual(['thread 1 loses kept']);
});
