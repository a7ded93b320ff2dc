import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findNode } from '../../../src/proxy/find-node.ts';

/** Which Node.js an upgrade starts. */

const root = realpathSync(mkdtempSync(join(tmpdir(), 'breakwater-find-node-')));
afterAll(() => rmSync(root, { recursive: true }));

/** A folder with a program of this name. */
function folderWith(name: string, program: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  writeFileSync(join(folder, program), '', { mode: 0o755 });
  return folder;
}

const v20 = join(folderWith('v20', 'node'), 'node');
const other = folderWith('other', 'node');
const bin = join(root, 'bin');
mkdirSync(bin);
symlinkSync(v20, join(bin, 'node'));
const link = join(bin, 'node');

describe('the name by which it was started leads to', () => {
  test.each([
    [
      'the link that is found in the path',
      { argv0: 'node', PATH: `${join(root, 'none')}:${bin}:${other}` },
      link,
    ],
    ['the link, given as a whole path', { argv0: link, PATH: '' }, link],
    [
      'the link, given from the folder that it works in',
      { argv0: relative(process.cwd(), link), PATH: '' },
      link,
    ],
    [
      'another Node.js, which comes first in the path: it is not taken',
      { argv0: 'node', PATH: `${other}:${bin}` },
      v20,
    ],
    ['nothing', { argv0: 'breakwater', PATH: bin }, v20],
    ['nothing, since there is no path', { argv0: 'node' }, v20],
    [
      'a folder of the path that is no whole path',
      { argv0: 'node', PATH: relative(process.cwd(), bin) },
      v20,
    ],
  ])('%s', (_, { argv0, ...env }, expected) => {
    expect(findNode({ argv0, execPath: v20, env })).toBe(expected);
  });

  test('a program that was deleted meanwhile', () => {
    const gone = join(root, 'gone/node');
    expect(findNode({ argv0: link, execPath: gone, env: {} })).toBe(gone);
  });
});
