import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** `package.json` and the code say the same. */

const root = resolve(import.meta.dirname, '../..');
const described = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

/** The packages that a folder's files import, without those that only lend their types. */
function packagesOf(folder: string): Set<string> {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(
    (path) => /\.(ts|js)$/.test(path) && !path.endsWith('.d.ts'),
  );
  const named = files.flatMap((path) => {
    const text = readFileSync(join(root, folder, path), 'utf8').replace(/import type [^;]*;/g, '');
    const pattern = /(?:\bfrom |\bimport |\bimport\(|createRequire\(import\.meta\.url\)\()'([^'.$][^']*)'/g;
    return [...text.matchAll(pattern)].map(([, name = '']) => name);
  });
  const outside = named.filter((name) => !name.startsWith('node:') && !builtinModules.includes(name));
  return new Set(outside.map((name) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name));
}

const running = new Set([...packagesOf('src'), ...packagesOf('cluster')]);

test('what the program imports is a dependency, and what only tests and benchmarks import is not', () => {
  const { dependencies, optionalDependencies } = described;
  expect([...running].toSorted()).toEqual(
    [...Object.keys(dependencies), ...Object.keys(optionalDependencies)].toSorted(),
  );
});

test('what tests and benchmarks import is declared', () => {
  const declared = new Set([...running, ...Object.keys(described.devDependencies)]);
  expect([...packagesOf('test'), ...packagesOf('bench')].filter((name) => !declared.has(name))).toEqual([]);
});

test('the program does without its optional dependencies', () => {
  expect(Object.keys(described.optionalDependencies)).toEqual(['koffi']);
});
