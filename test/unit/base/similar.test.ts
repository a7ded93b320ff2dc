import { expect, test } from 'vitest';
import { didYouMean } from '../../../src/base/similar.ts';

const keys = ['listeners', 'pools', 'rules', 'membership', 'emqx-1', 'emqx-2'];

test.each([
  ['listners', 'listeners'],
  ['pool', 'pools'],
  ['Rules', 'rules'],
  ['memebrship', 'membership'],
  ['emqx1', 'emqx-1'],
  ['emqx-2', 'emqx-2'],
])('%s probably means %s', (typed, meant) => {
  expect(didYouMean(typed, keys)).toBe(` (did you mean '${meant}'?)`);
});

test.each(['colour', '', 'x'.repeat(10_000), 'lists', 'x'])('%s means none of them', (typed) => {
  expect(didYouMean(typed, keys)).toBe('');
});
