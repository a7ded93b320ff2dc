import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type SwapRemovable, SwapRemoveSet } from '../../../src/data-plane/swap-remove-set.ts';

const newcomer = (): SwapRemovable => ({ rosterAt: -1 });

test('who came and did not go is there, once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (visits) => {
      const people = Array.from({ length: 10 }, newcomer);
      const roster = new SwapRemoveSet<SwapRemovable>();
      const expected = new Set<SwapRemovable>();
      for (const visit of visits) {
        const person = people[visit] as SwapRemovable;
        if (expected.delete(person)) roster.delete(person);
        else {
          expected.add(person);
          roster.add(person);
        }
        expect(people.map((each) => roster.has(each))).toEqual(people.map((each) => expected.has(each)));
        const present = [...roster];
        expect([present.length, new Set(present)]).toEqual([expected.size, expected]);
      }
    }),
  );
});

test('a member that goes while all are visited keeps no other from it', () => {
  const roster = new SwapRemoveSet<SwapRemovable>();
  for (let i = 0; i < 5; i++) roster.add(newcomer());
  const visited = new Set<SwapRemovable>();
  for (const member of roster) {
    visited.add(member);
    roster.delete(member);
  }
  expect([visited.size, [...roster]]).toEqual([5, []]);
});

test('who is not there may go', () => {
  const roster = new SwapRemoveSet<SwapRemovable>();
  const [present, absent] = [newcomer(), newcomer()];
  roster.add(present);
  roster.delete(absent);
  expect([...roster]).toEqual([present]);
});
