import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** Keeps the structure that `docs/architecture.md` shows: what may import what, and what pure code may not touch. */

const root = resolve(import.meta.dirname, '../..');
const src = join(root, 'src');

/** Each may import those before it. */
const pure = [
  ...['mqtt', 'nodes', 'balance', 'address', 'routing', 'admission', 'proxy-protocol'],
  ...['tls-hello', 'http', 'persistence', 'session', 'connection', 'websocket', 'config'],
];
const levels = [
  ['bytes.ts', 'errors.ts', 'printable.ts', 'time.ts'],
  pure,
  ['engine', 'membership', 'discovery', 'health', 'metrics', 'log.ts'],
  ['data-plane', 'http-proxy', 'control', 'admin'],
  ['server.ts', 'server', 'cli', 'main.ts'],
];
/** Threads are started by their paths, and so reached by no import. */
const roots = ['main.ts', 'cli/config-thread.ts', 'data-plane/thread.ts', 'server/http-thread.ts'];
/** Built and tested ahead of their callers; whoever imports one takes it off this list. */
const ahead: readonly string[] = [];
const MAX_LINES = 400;

interface Import {
  readonly target: string;
  readonly specifier: string;
}
interface SourceFile {
  /** Relative to `src`, with `/`. */
  readonly path: string;
  readonly text: string;
  /** Relative ones, within `src` or not. */
  readonly imports: readonly Import[];
  /** All others: `node:…` and packages. */
  readonly packages: readonly string[];
}

/** Without comments, so that a word in one is no finding; a `//` in a string such as a URL stays. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
}

function read(path: string): SourceFile {
  const text = readFileSync(join(src, path), 'utf8');
  const found = [...codeOf(text).matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)'([^']+)'/g)];
  const specifiers = found.map(([, specifier = '']) => specifier);
  const isRelative = (specifier: string) => specifier.startsWith('.');
  const target = (specifier: string) => relative(src, resolve(src, dirname(path), specifier));
  return {
    path,
    text,
    imports: specifiers.filter(isRelative).map((specifier) => ({ specifier, target: target(specifier) })),
    packages: specifiers.filter((specifier) => !isRelative(specifier)),
  };
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map(read);
const byPath = new Map(files.map((file) => [file.path, file]));
const unitOf = (path: string): string => path.split('/')[0] ?? path;
const levelOf = (path: string): number => levels.findIndex((units) => units.includes(unitOf(path)));
const pureFiles = files.filter(({ path }) => levelOf(path) <= 1);

function problemOf(from: string, to: string): string | undefined {
  const [fromLevel, toLevel] = [levelOf(from), levelOf(to)];
  if (to.startsWith('..')) {
    const isCluster = to.startsWith('../cluster/') && fromLevel === 4;
    return isCluster ? undefined : 'src imports nothing outside itself, but level 4 may import cluster/';
  }
  if (unitOf(from) === unitOf(to) || toLevel < fromLevel || fromLevel === 4) return undefined;
  if (toLevel > fromLevel) {
    return `level ${fromLevel} must not know level ${toLevel}: let level 4 pass it in, or move what both need down`;
  }
  if (fromLevel === 1) {
    const isEarlier = pure.indexOf(unitOf(to)) < pure.indexOf(unitOf(from));
    return isEarlier ? undefined : `pure folders are ordered ${pure.join(' < ')}: turn the import around`;
  }
  const remedy = fromLevel === 0 ? 'it imports nothing of ours' : 'let level 4 pass in what it needs';
  return `${unitOf(from)} and ${unitOf(to)} are both of level ${fromLevel} and must not meet: ${remedy}`;
}

test('there is something to check', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(byPath.get('main.ts')?.imports.length).toBeGreaterThan(0);
});

test('every file belongs to a level', () => {
  const homeless = files.filter(({ path }) => levelOf(path) < 0).map(({ path }) => path);
  expect(homeless, 'give the folder its level in this test and in docs/architecture.md').toEqual([]);
});

test('files import lower levels and their own folder only', () => {
  const wrong = files.flatMap(({ path, imports }) =>
    imports.flatMap(({ target }) => {
      const problem = problemOf(path, target);
      return problem === undefined ? [] : [`${path} imports ${target}: ${problem}`];
    }),
  );
  expect(wrong).toEqual([]);
});

test('imports name the file, with its extension', () => {
  const inside = files.flatMap(({ path, imports }) =>
    imports
      .filter(({ target }) => !target.startsWith('..') && !byPath.has(target))
      .map((each) => [path, each]),
  );
  expect(inside, 'write the path of a file that exists, such as ./node.ts').toEqual([]);
});

test('no file imports itself by way of others', () => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
    if (done.has(path) || trail.includes(path)) return;
    for (const { target } of byPath.get(path)?.imports ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  expect(cycles, 'move what both need into a file of its own').toEqual([]);
});

test('no file is dead', () => {
  const reached = new Set<string>();
  const reach = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const { target } of byPath.get(path)?.imports ?? []) reach(target);
  };
  roots.forEach(reach);
  expect(
    ahead.filter((path) => reached.has(path)),
    'has a caller now: take it off the list of what is ahead',
  ).toEqual([]);
  ahead.forEach(reach);
  const dead = files.filter(({ path }) => !reached.has(path)).map(({ path }) => path);
  expect(dead, `nothing imports it, from ${roots.join(' or ')} on: use it or delete it`).toEqual([]);
});

test('pure folders touch nothing but what they are given', () => {
  const banned: readonly (readonly [RegExp, string])[] = [
    [/\bDate\.now\b|\bnew Date\(\)|\bperformance\./, 'take a Clock'],
    [/\bMath\.random\b/, 'take a Random'],
    [/\b(setTimeout|setInterval|setImmediate|queueMicrotask)\s*\(/, 'let the caller keep the time'],
    [/\bprocess\.|\bconsole\./, 'let the caller do it'],
  ];
  const wrong = pureFiles
    .filter(({ path }) => path !== 'time.ts') // where the clock and chance come from
    .flatMap(({ path, text }) =>
      banned.flatMap(([pattern, remedy]) => {
        const found = pattern.exec(codeOf(text))?.[0];
        return found === undefined ? [] : [`${path} uses ${found}: ${remedy}`];
      }),
    );
  expect(wrong).toEqual([]);
});

test('pure folders import no I/O', () => {
  const allowed: Readonly<Record<string, readonly string[]>> = {
    'time.ts': ['node:perf_hooks', 'node:process'],
    mqtt: ['node:buffer'],
    connection: ['node:buffer'],
    routing: ['re2js'],
    persistence: ['node:crypto'],
    websocket: ['node:buffer', 'node:crypto'], // UTF-8 and SHA-1, which RFC 6455 asks for
    config: ['zod', 'yaml', 'node:path'],
  };
  const wrong = pureFiles.flatMap(({ path, packages }) =>
    packages
      .filter((name) => !allowed[unitOf(path)]?.includes(name))
      .map((name) => `${path} imports ${name}: a pure folder does no I/O; let level 2 do it`),
  );
  expect(wrong).toEqual([]);

  const names = pureFiles.flatMap(({ path, text }) => {
    const [, list = ''] = /import \{([^}]*)\} from 'node:net'/.exec(codeOf(text)) ?? [];
    return list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !/^(isIP|isIPv4|isIPv6|BlockList)$/.test(name))
      .map((name) => `${path} imports ${name} of node:net: only isIP, isIPv4, isIPv6 and BlockList are pure`);
  });
  expect(names).toEqual([]);
});

test(`no file is longer than ${MAX_LINES} lines`, () => {
  const long = files
    .map(({ path, text }) => [path, text.split('\n').length - 1] as const)
    .filter(([, lines]) => lines > MAX_LINES);
  expect(long, 'split it: one concept a file').toEqual([]);
});
