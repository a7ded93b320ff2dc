import { expect, test } from 'vitest';
import { lossOf } from '../../../src/cli/config-file.ts';

const whole = 'listeners:\n  - url: mqtt://0.0.0.0:1883\npools:\n  default: {}\n';

test.each([
  ['', 'is empty'],
  ['\n\n', 'is empty'],
  ['# nothing left\n---\n', 'is empty'],
  [whole.slice(0, 30), 'in the middle of a line'],
  [whole.slice(0, -1), 'in the middle of a line'],
])('%j lost what a reload must not take from live connections', (text, loss) => {
  expect(lossOf(text, whole)).toContain(loss);
});

test.each([
  ['{}\n', whole],
  [whole.slice(0, whole.indexOf('pools')), whole], // its last lines were taken away: that may be meant
  [whole, ''],
  ['', '# still nothing\n'],
  ['{"rules":[]}', '{}'], // JSON without a last line end, as before
])('%j behind %j may be meant', (text, former) => {
  expect(lossOf(text, former)).toBeUndefined();
});
