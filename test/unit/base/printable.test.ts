import { expect, test } from 'vitest';
import { printable, printableLines } from '../../../src/base/printable.ts';

test.each([
  ['C0, an escape sequence', '\u001b[2J', '\\u001b[2J'],
  ['C1, the same in one byte', '\u009b2J', '\\u009b2J'],
  ['DEL', '\u007f', '\\u007f'],
  ['the override of direction', 'a\u202eb', 'a\\u202eb'],
  ['isolates', '\u2066a\u2069', '\\u2066a\\u2069'],
  ['marks of direction', '\u061c\u200e\u200f', '\\u061c\\u200e\\u200f'],
  ['separators of lines', '\u2028\u2029', '\\u2028\\u2029'],
])('%s is shown, not obeyed', (_, text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('other text is as it was', () => {
  for (const text of ['meter-17', 'Zähler 7', 'счётчик', '電表', '👩‍🔧']) expect(printable(text)).toBe(text);
});

test('JSON is the same JSON', () => {
  const text = Array.from({ length: 0xffff }, (_, code) => String.fromCharCode(code)).join('');
  expect(JSON.parse(printable(JSON.stringify(text)))).toBe(text);
});

test('lines stay lines', () => {
  expect(printableLines('a\u009b\nb\r\n')).toBe('a\\u009b\nb\\u000d\n');
});
