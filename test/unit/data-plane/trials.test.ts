import { expect, test } from 'vitest';
import { Trials } from '../../../src/data-plane/trials.ts';

function open() {
  let nowMs = 0;
  const trials = new Trials(() => nowMs);
  const begun: string[] = [];
  const defendant = (name: string, meanwhile = () => {}) => ({
    begin: () => {
      begun.push(name);
      meanwhile();
    },
  });
  const pass = (ms: number) => {
    nowMs += ms;
    trials.beat();
  };
  return { trials, begun, defendant, pass };
}

test('one at a time at each node, in the order in which they came', () => {
  const { trials, begun, defendant } = open();
  const [a, b, c, other] = [defendant('a'), defendant('b'), defendant('c'), defendant('other')];
  for (const each of [a, b, c]) trials.enter(each, 'node-1');
  trials.enter(other, 'node-2');
  expect(begun).toEqual(['a', 'other']);
  trials.leave(a, 'node-1');
  trials.leave(a, 'node-1');
  expect(begun).toEqual(['a', 'other', 'b']);
});

test('one that leaves while it waits is passed over', () => {
  const { trials, begun, defendant } = open();
  const [a, b, c] = [defendant('a'), defendant('b'), defendant('c')];
  for (const each of [a, b, c]) trials.enter(each, 'node-1');
  trials.leave(b, 'node-1');
  trials.leave(a, 'node-1');
  expect(begun).toEqual(['a', 'c']);
  trials.leave(c, 'node-1');
  trials.enter(b, 'node-1');
  expect(begun).toEqual(['a', 'c', 'b']);
});

test('ten thousand that leave as they begin need no deep stack', () => {
  const { trials, begun, defendant } = open();
  const first = defendant('first');
  trials.enter(first, 'node-1');
  for (let i = 0; i < 10_000; i++) {
    const each = defendant(`${i}`, () => trials.leave(each, 'node-1'));
    trials.enter(each, 'node-1');
  }
  trials.leave(first, 'node-1');
  expect(begun).toHaveLength(10_001);
});

test('one that is not answered gives way to the next after its time', () => {
  const { trials, begun, defendant, pass } = open();
  for (const name of ['a', 'b']) trials.enter(defendant(name), 'node-1');
  pass(199);
  expect(begun).toEqual(['a']);
  pass(1);
  expect(begun).toEqual(['a', 'b']);
  pass(200);
  trials.enter(defendant('c'), 'node-1');
  expect(begun).toEqual(['a', 'b', 'c']);
});
