import { expect, test } from 'vitest';
import { cutTo, widthOf } from '../../../../src/cli/output/width.ts';

test.each([
  ['meter-17', 8],
  ['', 0],
  ['温度计', 6],
  ['ｆｕｌｌ', 8],
  ['한국어', 6],
  ['カナ', 4],
  ['é', 1],
  ['e\u0301', 1],
  ['a\u200bb', 2],
  ['🚀', 2],
  ['👩‍👩‍👧', 2],
  ['🇩🇪', 2],
  ['☀\ufe0f', 2],
  ['نص', 2],
])('%s takes %i columns', (text, columns) => {
  expect(widthOf(text)).toBe(columns);
});

test.each([
  ['meter-17', 8, 'meter-17'],
  ['meter-17', 7, 'meter-…'],
  ['温度计-7', 5, '温度…'],
  ['温度计-7', 4, '温…'],
  ['ae\u0301b', 2, 'a…'],
])('%s cut to %i columns is %s', (text, columns, cut) => {
  expect(cutTo(text, columns)).toBe(cut);
});
