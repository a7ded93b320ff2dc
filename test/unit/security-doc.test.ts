import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** Every claim of `docs/security.md` names a test, which must exist under that title. */

const root = resolve(import.meta.dirname, '../..');
const text = readFileSync(join(root, 'docs/security.md'), 'utf8');
const claims = [...text.matchAll(/^\| (.+) \| `([\w/.-]+\.ts)`: (.+) \|$/gm)].map(
  ([, claim = '', file = '', title = '']) => ({ claim, file, title }),
);

/** Tables of claims have a heading of their own; each of their rows must be one. */
const rows = [...text.matchAll(/^\| claim[^|]*\| test +\|\n\|[- |]+\|\n((?:\|.*\n)+)/gm)].flatMap(
  ([, body = '']) => body.trim().split('\n'),
);

test('every claim names a test', () => {
  expect(rows.length).toBeGreaterThan(5);
  expect(claims).toHaveLength(rows.length);
});

test('every test that is named exists, under its title', () => {
  const missing = claims.filter(({ file, title }) => {
    const path = join(root, 'test', file);
    return !existsSync(path) || !readFileSync(path, 'utf8').replaceAll("\\'", "'").includes(title);
  });
  expect(missing).toEqual([]);
});
