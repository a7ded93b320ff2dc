import { expect, test } from 'vitest';
import { LiveLine } from '../../../../src/cli/output/live-line.ts';

test('on a terminal the line is overwritten in place, below what is printed, and never wraps', () => {
  let text = '';
  const line = new LiveLine({ isTTY: true, columns: 6, write: (piece) => (text += piece) }, () => 0);
  line.update('12345678');
  line.print('news');
  line.end();
  expect(text).toBe('\r\u001b[2K1234…\r\u001b[2Knews\n1234…\n');
});

test('elsewhere it is printed whole, every five seconds', () => {
  let text = '';
  let nowMs = 0;
  const line = new LiveLine({ write: (piece) => (text += piece) }, () => nowMs);
  for (nowMs = 0; nowMs <= 10_000; nowMs += 1_000) line.update(`at ${nowMs}`);
  line.end();
  expect(text).toBe('at 0\nat 5000\nat 10000\n');
});

test('what devices chose steers no terminal, neither in the live line nor above it', () => {
  let text = '';
  const line = new LiveLine({ isTTY: true, columns: 80, write: (piece) => (text += piece) }, () => 0);
  line.update('at \u009b2J');
  line.print('device \u001b[2J\u202e');
  expect(text).toContain('at \\u009b2J');
  expect(text).toContain('device \\u001b[2J\\u202e\n');
});
