import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lossOf, readConfigFile } from '../../../src/cli/config-file.ts';
import { temporaryDirectory } from '../../support/process.ts';

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

test.each([
  ['Latin-1', Buffer.from('cluster: a\nproxy:\n  id: B\xe4r\n', 'latin1'), 3],
  ['UTF-16', Buffer.from('\ufeffcluster: a\n', 'utf16le'), 1],
  ['a character that is cut off at the end', Buffer.from([...Buffer.from('cluster: a\n# '), 0xe2, 0x82]), 2],
])('%s is no text in UTF-8, and is refused with its line', async (_, bytes, line) => {
  const path = join(temporaryDirectory(), 'breakwater.yaml');
  writeFileSync(path, bytes);
  await expect(readConfigFile(path)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: `${path}: one problem\n  line ${line}: is not UTF-8; save the file in that encoding`,
  });
});

test('a folder and an endless file are refused', async () => {
  const unreadable = (message: string) => ({
    code: 'CONFIG_UNREADABLE',
    message: expect.stringContaining(message),
  });
  const folder = temporaryDirectory();
  await expect(readConfigFile(folder)).rejects.toMatchObject(
    unreadable(`cannot read the configuration ${folder}: it is a folder`),
  );
  await expect(readConfigFile('/dev/zero')).rejects.toMatchObject(
    unreadable('larger than 1048576 bytes: not a configuration'),
  );
});
