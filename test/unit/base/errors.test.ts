import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { errorCodes } from '../../../src/base/errors.ts';

const src = resolve(import.meta.dirname, '../../../src');

test('every code of the table is given somewhere', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.ts') && path !== 'base/errors.ts' && !path.startsWith('cli/documents/'),
  );
  const text = files.map((path) => readFileSync(join(src, path), 'utf8')).join('\n');
  const unused = Object.keys(errorCodes).filter((code) => !text.includes(`'${code}'`));
  expect(unused, 'nothing gives it: drop it from the table').toEqual([]);
});
