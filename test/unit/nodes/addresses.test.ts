import { expect, test } from 'vitest';
import { NodeAddresses } from '../../../src/nodes/addresses.ts';

test('a dial goes through every address once', () => {
  const walk = new NodeAddresses(['a', 'b', 'c']).walk();
  expect([walk.next(), walk.isLast, walk.next(), walk.next(), walk.isLast, walk.next()]).toEqual([
    'a',
    false,
    'b',
    'c',
    true,
    undefined,
  ]);
});

test('the address that answered is the first of the next dial', () => {
  const addresses = new NodeAddresses(['a', 'b', 'c']);
  const walk = addresses.walk();
  walk.next();
  walk.next();
  walk.reached();
  expect(addresses.inTurn()).toEqual(['b', 'c', 'a']);
  expect(addresses.walk().next()).toBe('b');
});

test('an address that did not answer is not the first of the next dial', () => {
  const addresses = new NodeAddresses(['a', 'b']);
  const walk = addresses.walk();
  walk.next();
  walk.failed();
  expect(addresses.walk().next()).toBe('b');
});

test('dials at one time do not disturb each other', () => {
  const addresses = new NodeAddresses(['a', 'b']);
  const [one, other] = [addresses.walk(), addresses.walk()];
  one.next();
  other.next();
  expect([one.next(), other.next()]).toEqual(['b', 'b']);
  one.reached();
  expect(other.next()).toBeUndefined();
  expect(addresses.inTurn()).toEqual(['a', 'b']); // the other found neither
});

test('what answers elsewhere is known too', () => {
  const addresses = new NodeAddresses(['a', 'b']);
  addresses.reached('b');
  addresses.reached('unknown');
  expect(addresses.inTurn()).toEqual(['b', 'a']);
});
