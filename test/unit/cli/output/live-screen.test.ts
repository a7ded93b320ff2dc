import { expect, test } from 'vitest';
import { LiveScreen } from '../../../../src/cli/output/live-screen.ts';

test('on a terminal it is drawn over the one before, never higher than the screen, and the former screen comes back', () => {
  let text = '';
  const screen = new LiveScreen({ isTTY: true, rows: 3, write: (piece) => (text += piece) });
  screen.draw('one\ntwo\nthree');
  expect(text).toBe('\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[Hone\u001b[K\r\ntwo\u001b[K\r\n\u001b[J');
  text = '';
  screen.draw('1');
  expect(text).toBe('\u001b[H1\u001b[K\r\n\u001b[J');
  text = '';
  screen.close();
  screen.close();
  expect(text).toBe('\u001b[?7h\u001b[?25h\u001b[?1049l');
});

test('elsewhere it is text, one after the other', () => {
  let text = '';
  const screen = new LiveScreen({ write: (piece) => (text += piece) });
  screen.draw('one');
  screen.draw('two');
  screen.close();
  expect(text).toBe('one\ntwo\n');
});
