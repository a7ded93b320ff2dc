import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Roster, type Rostered } from '../../../src/data-plane/roster.ts';

const newcomer = (): Rostered => ({ rosterAt: -1 });

test('who came and did not go is there, once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (visits) => {
      const people = Array.from({ length: 10 }, newcomer);
      const roster = new Roster<Rostered>();
      const expected = new Set<Rostered>();
      for (const visit of visits) {
        const person = people[visit] as Rostered;
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
  const roster = new Roster<Rostered>();
  for (let i = 0; i < 5; i++) roster.add(newcomer());
  const visited = new Set<Rostered>();
  for (const member of roster) {
    visited.add(member);
    roster.delete(member);
  }
  expect([visited.size, [...roster]]).toEqual([5, []]);
});

test('who is not there may go', () => {
  const roster = new Roster<Rostered>();
  const [present, absent] = [newcomer(), newcomer()];
  roster.add(present);
  roster.delete(absent);
  expect([...roster]).toEqual([present]);
});
