import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type SwapRemovable, SwapRemoveSet } from '../../../src/data-plane/swap-remove-set.ts';

const newcomer = (): SwapRemovable => ({ setIndex: -1 });

test('who came and did not go is there, once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (visits) => {
      const people = Array.from({ length: 10 }, newcomer);
      const set = new SwapRemoveSet<SwapRemovable>();
      const expected = new Set<SwapRemovable>();
      for (const visit of visits) {
        const person = people[visit] as SwapRemovable;
        if (expected.delete(person)) set.delete(person);
        else {
          expected.add(person);
          set.add(person);
        }
        expect(people.map((each) => set.has(each))).toEqual(people.map((each) => expected.has(each)));
        const present = [...set];
        expect([present.length, new Set(present)]).toEqual([expected.size, expected]);
      }
    }),
  );
});

test('a member that goes while all are visited keeps no other from it', () => {
  const set = new SwapRemoveSet<SwapRemovable>();
  for (let i = 0; i < 5; i++) set.add(newcomer());
  const visited = new Set<SwapRemovable>();
  for (const member of set) {
    visited.add(member);
    set.delete(member);
  }
  expect([visited.size, [...set]]).toEqual([5, []]);
});

test('who is not there may go', () => {
  const set = new SwapRemoveSet<SwapRemovable>();
  const [present, absent] = [newcomer(), newcomer()];
  set.add(present);
  set.delete(absent);
  expect([...set]).toEqual([present]);
});
