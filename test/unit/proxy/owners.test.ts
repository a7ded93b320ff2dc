import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createOwners } from '../../../src/proxy/owners.ts';

function stage() {
  const told: string[] = [];
  const owners = createOwners((thread, { clientId, who, sinceMs }) => {
    told.push(`thread ${thread}: ${who} has ${clientId} after ${sinceMs}`);
  });
  return {
    told,
    forget: owners.forget,
    owned: (thread: number, clientId: string, sinceMs: number, { pool = 'default', who = 7 } = {}) =>
      owners.owned(thread, { pool, clientId, who, sinceMs }),
    disowned: (thread: number, clientId: string) => owners.disowned(thread, 'default', clientId),
  };
}

test('the thread of an older connection is told when another thread has a newer one (rule 14)', () => {
  const { owned, told } = stage();
  owned(0, 'dev', 1);
  owned(1, 'dev', 2, { who: 8 });
  owned(2, 'dev', 3, { who: 9 });
  expect(told).toEqual(['thread 0: 8 has dev after 1', 'thread 1: 9 has dev after 2']);
});

test('a thread that has it already knows by itself', () => {
  const { owned, told } = stage();
  owned(0, 'dev', 1);
  owned(0, 'dev', 2);
  expect(told).toEqual([]);
});

test('in another pool it is another device’s', () => {
  const { owned, told } = stage();
  owned(0, 'dev', 1, { pool: 'north' });
  owned(1, 'dev', 2, { pool: 'south' });
  expect(told).toEqual([]);
});

test('the newest connection counts, even if its thread is heard of before that of an older one', () => {
  const { owned, disowned, told } = stage();
  owned(0, 'dev', 1);
  owned(0, 'dev', 3, { who: 8 }); // back at thread 0, after a moment at thread 1
  owned(1, 'dev', 2);
  expect(told).toEqual(['thread 1: 8 has dev after 2']);
  disowned(1, 'dev');
  owned(2, 'dev', 4);
  expect(told.at(-1)).toBe('thread 0: 7 has dev after 3');
});

test('an older connection that ends late does not take it from the newer one', () => {
  const { owned, disowned, told } = stage();
  owned(0, 'dev', 1);
  owned(1, 'dev', 2);
  disowned(0, 'dev');
  owned(2, 'dev', 3);
  expect(told).toEqual(['thread 0: 7 has dev after 1', 'thread 1: 7 has dev after 2']);
});

test('nobody is told of a connection that has ended, or whose thread has died', () => {
  const { owned, disowned, forget, told } = stage();
  owned(0, 'gone', 1);
  disowned(0, 'gone');
  owned(0, 'lost', 1);
  owned(1, 'kept', 1);
  forget(0);
  for (const clientId of ['gone', 'lost', 'kept']) owned(2, clientId, 2);
  expect(told).toEqual(['thread 1: 7 has kept after 1']);
});

test('a connection that lives is told of a newer one, also where that has ended, in whatever order threads are heard', () => {
  const connection = fc.record({ thread: fc.nat(2), ends: fc.boolean() });
  const order = fc.array(fc.nat(2), { minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(fc.array(connection, { minLength: 2, maxLength: 6 }), order, (all, turns) => {
      const { owned, disowned, told } = stage();
      const queues: (() => void)[][] = [[], [], []];
      for (const [i, { thread, ends }] of all.entries()) {
        queues[thread]?.push(() => owned(thread, 'dev', i));
        if (ends) queues[thread]?.push(() => disowned(thread, 'dev'));
      }
      for (let i = 0; queues.some(({ length }) => length > 0); i++) {
        const speaking = queues.filter(({ length }) => length > 0);
        speaking[(turns[i] ?? 0) % speaking.length]?.shift()?.();
      }
      const taken = all.flatMap(({ thread, ends }, i) => {
        const newer = all.slice(i + 1);
        const knowsItself = newer.some((other) => other.thread === thread);
        return ends || newer.length === 0 || knowsItself ? [] : [`thread ${thread}: 7 has dev after ${i}`];
      });
      expect(told).toEqual(expect.arrayContaining(taken));
    }),
  );
});
