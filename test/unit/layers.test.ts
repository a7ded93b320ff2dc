import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** Keeps the structure that `docs/architecture.md` shows: what may import what, and what pure code may not touch. */

const root = resolve(import.meta.dirname, '../..');
const src = join(root, 'src');

/** The rooms of `src/`, from the ground up: a file imports rooms of lower levels, or its own. */
const levels = [
  ['base'],
  ['protocol'],
  ['nodes', 'policy', 'session', 'journal'],
  ['connection'],
  ['engine', 'config', 'health'],
  ['data-plane-api', 'membership', 'admin', 'handover'],
  ['data-plane', 'migration'],
  ['proxy', 'http-proxy'],
  ['cli'],
  ['main.ts'],
];
/** Rooms, and files of `base/`, that are given time, chance and I/O instead of reaching for them. */
const pure = [
  ...['protocol', 'nodes', 'policy', 'session', 'journal', 'connection', 'config'],
  ...['base/bytes.ts', 'base/errors.ts', 'base/printable.ts', 'base/time.ts'],
];
/** Workers, the demo's brokers, and the dashboard's script, are started by their paths, and so reached by no import. */
const roots = [
  ...['main.ts', 'cli/config-thread.ts', 'data-plane/worker.ts', 'http-proxy/http-worker.ts'],
  ...['cli/commands/demo-broker.ts', 'engine/uring/uring-trial.ts', 'admin/dashboard/main.js'],
];
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
  .filter((path) => /\.(ts|js)$/.test(path))
  .map(read);
const byPath = new Map(files.map((file) => [file.path, file]));
const roomOf = (path: string): string => path.split('/')[0] ?? path;
const levelOf = (path: string): number => levels.findIndex((rooms) => rooms.includes(roomOf(path)));
const isIn = (path: string, place: string): boolean => path === place || path.startsWith(`${place}/`);
const pureFiles = files.filter(({ path }) => pure.some((place) => isIn(path, place)));

function problemOf(from: string, to: string): string | undefined {
  if (to.startsWith('..')) {
    const isCluster = to.startsWith('../cluster/') && roomOf(from) === 'cli';
    return isCluster ? undefined : 'src imports nothing outside itself, but cli may import cluster/';
  }
  const [fromLevel, toLevel] = [levelOf(from), levelOf(to)];
  if (roomOf(from) === roomOf(to) || toLevel < fromLevel) return undefined;
  return `level ${fromLevel} must not know level ${toLevel}: let a higher level pass it in, or move what both need down`;
}

test('there is something to check', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(byPath.get('main.ts')?.imports.length).toBeGreaterThan(0);
});

test('every file belongs to a level', () => {
  const homeless = files.filter(({ path }) => levelOf(path) < 0).map(({ path }) => path);
  expect(homeless, 'give the room its level in this test and in docs/architecture.md').toEqual([]);
});

test('files import lower levels and their own room only', () => {
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
  const dead = files.filter(({ path }) => !reached.has(path)).map(({ path }) => path);
  expect(dead, `nothing imports it, from ${roots.join(' or ')} on: use it or delete it`).toEqual([]);
});

/** Each costs the start of every thread its time, and there is one for each core. */
test('data threads load no package but those for patterns and libc', () => {
  const loaded = new Set<string>();
  const load = (path: string): void => {
    const file = byPath.get(path);
    if (file === undefined || loaded.has(path)) return;
    loaded.add(path);
    for (const { target } of file.imports.filter(isLoaded(file))) load(target);
  };
  load('data-plane/worker.ts');
  const packages = [...loaded].flatMap((path) => byPath.get(path)?.packages ?? []);
  expect(packages.filter((name) => !name.startsWith('node:')).toSorted()).toEqual(['koffi', 're2js']);
});

/** What is imported for its types alone is not loaded. */
function isLoaded({ text }: SourceFile): (each: Import) => boolean {
  const types = [...text.matchAll(/^import type [^;]*'([^']+)';/gm)].map(([, specifier]) => specifier);
  return ({ specifier }) => !types.includes(specifier);
}

test('pure rooms touch nothing but what they are given', () => {
  const banned: readonly (readonly [RegExp, string])[] = [
    [/\bDate\.now\b|\bnew Date\(\)|\bperformance\./, 'take a Clock'],
    [/\bMath\.random\b/, 'take a Random'],
    [/\b(setTimeout|setInterval|setImmediate|queueMicrotask)\s*\(/, 'let the caller keep the time'],
    [/\bprocess\.|\bconsole\./, 'let the caller do it'],
  ];
  const wrong = pureFiles
    .filter(({ path }) => path !== 'base/time.ts') // where the clock and chance come from
    .flatMap(({ path, text }) =>
      banned.flatMap(([pattern, remedy]) => {
        const found = pattern.exec(codeOf(text))?.[0];
        return found === undefined ? [] : [`${path} uses ${found}: ${remedy}`];
      }),
    );
  expect(wrong).toEqual([]);
});

test('pure rooms import no I/O', () => {
  const allowed: Readonly<Record<string, readonly string[]>> = {
    'base/time.ts': ['node:perf_hooks', 'node:process'],
    'protocol/mqtt': ['node:buffer'],
    'policy/routing': ['re2js'],
    'policy/cookie-affinity': ['node:crypto'],
    'policy/admission': ['node:crypto'],
    connection: ['node:buffer', 'zod'],
    session: ['zod'],
    'connection/websocket': ['node:crypto'], // SHA-1, which RFC 6455 asks for
    config: ['zod', 'yaml', 'node:path'],
  };
  const allowedFor = (path: string) =>
    Object.entries(allowed).flatMap(([place, names]) => (isIn(path, place) ? names : []));
  const wrong = pureFiles.flatMap(({ path, packages }) =>
    packages
      .filter((name) => !allowedFor(path).includes(name))
      .map((name) => `${path} imports ${name}: a pure room does no I/O; let the caller do it`),
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

test('each file begins by saying what it is for', () => {
  const isDocumented = ({ text }: SourceFile): boolean => {
    const body = text.replace(/^(?:#!|\/\/ @ts-check).*\n/, '').trimStart();
    const behindImports = body.replace(/^(?:import\b[^;]*;\s*)+/, '');
    return [body, behindImports].some((at) => at.startsWith('/**'));
  };
  const silent = files.filter((file) => !isDocumented(file)).map(({ path }) => path);
  expect(silent, 'its first comment, above the first declaration, says what it is for').toEqual([]);
});

test('no export is dead', () => {
  const identifiers = (text: string) => new Set(codeOf(text).match(/[A-Za-z_$][\w$]*/g));
  const others = ['cluster', 'bench', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|m?js)$/.test(path))
      .map((path) => identifiers(readFileSync(join(root, folder, path), 'utf8'))),
  );
  const ours = files.map(({ path, text }) => [path, identifiers(text)] as const);
  const dead = files.flatMap(({ path, text }) => {
    const exported = [
      ...text.matchAll(
        /^export (?:async |abstract )*(?:const|let|function\*?|class|interface|type|enum) (\w+)/gm,
      ),
    ];
    return exported
      .map(([, name = '']) => name)
      .filter((name) => !ours.some(([at, names]) => at !== path && names.has(name)))
      .filter((name) => !others.some((names) => names.has(name)))
      .map((name) => `${path} exports ${name}`);
  });
  expect(dead, 'nothing names it: drop the word export, or the whole').toEqual([]);
});
