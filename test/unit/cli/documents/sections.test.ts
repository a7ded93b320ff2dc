import { expect, test } from 'vitest';
import { markdownTable, withSections } from '../../../../src/cli/documents/sections.ts';

const page = 'before\n<!-- made by npm run docs: a -->\nold\n<!-- end of a -->\nafter\n';

test('a marked part is made anew, and what stands around it stays', () => {
  const made = withSections(page, { a: 'costs $1' });
  expect(made).toBe('before\n<!-- made by npm run docs: a -->\n\ncosts $1\n\n<!-- end of a -->\nafter\n');
  expect(withSections(made, { a: 'costs $1' })).toBe(made);
});

test('a part without a mark, and a mark without a part, are faults', () => {
  expect(() => withSections(page, {})).toThrow('the page marks a');
  expect(() => withSections(page, { a: '', b: '' })).toThrow('there are a, b');
  expect(() => withSections(page + page, { a: '' })).toThrow('the page marks a, a');
});

test('a bar in a cell does not end it', () => {
  expect(markdownTable(['a', 'b'], [['x|y', 'z']])).toBe('| a | b |\n| --- | --- |\n| x\\|y | z |');
});
