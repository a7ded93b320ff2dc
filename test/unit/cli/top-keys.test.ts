import { expect, test } from 'vitest';
import { TopKeys } from '../../../src/cli/top-keys.ts';

const ids = ['a', 'b', 'c'];
const UP = '\u001b[A';
const DOWN = '\u001b[B';

function pressed(...keys: string[]) {
  const state = new TopKeys();
  const actions = keys.map((key) => state.press(key, ids)).filter((action) => action !== undefined);
  return { selected: state.selected, prompt: state.prompt, actions };
}

test.each([
  [[DOWN], 'a'],
  [[DOWN, DOWN], 'b'],
  [['j', 'j', 'j', 'j'], 'c'],
  [[DOWN, DOWN, UP], 'a'],
  [[UP], 'c'],
])('%j chooses %s', (keys, selected) => {
  expect(pressed(...keys).selected).toBe(selected);
});

test('nothing is done without a node, and without a yes', () => {
  expect(pressed('d')).toMatchObject({
    actions: [],
    prompt: 'choose a node to drain with up and down first',
  });
  expect(pressed(DOWN, 'd')).toMatchObject({
    actions: [],
    prompt: 'drain node a? y: yes, any other key: no',
  });
  expect(pressed(DOWN, 'd', 'd').actions).toEqual([]);
  expect(pressed(DOWN, 'd', 'n', 'y').actions).toEqual([]);
});

test('a yes is for the node that was asked about', () => {
  expect(pressed(DOWN, 'd', 'y').actions).toEqual([{ kind: 'act', verb: 'drain', node: 'a' }]);
  expect(pressed(DOWN, DOWN, 'e', 'y').actions).toEqual([{ kind: 'act', verb: 'enable', node: 'b' }]);
  expect(pressed(DOWN, 'd', DOWN, 'y').actions).toEqual([]);
});

test.each(['q', '\u0003'])('%j quits, also while a question is open', (key) => {
  expect(pressed(key).actions).toEqual([{ kind: 'quit' }]);
  expect(pressed(DOWN, 'd', key).actions).toEqual([{ kind: 'quit' }]);
});

test('a node that has gone is left for the first or the last', () => {
  const keys = new TopKeys();
  keys.press(DOWN, ['gone']);
  keys.press(DOWN, ids);
  expect(keys.selected).toBe('a');
});
