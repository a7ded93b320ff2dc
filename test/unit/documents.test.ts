import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** Paths, links and anchors of the documents lead to something that exists. */

const root = resolve(import.meta.dirname, '../..');
const inDocs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.md'))
  .map((path) => `docs/${path}`);
const lifecycles = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.md'))
  .map((path) => `src/${path}`);
const others = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'],
  ...['examples/README.md', 'cluster/README.md'],
];
const pages = [...others, ...inDocs, ...lifecycles].map((path) => ({
  path,
  text: readFileSync(join(root, path), 'utf8'),
}));
/** The list of changes tells of days when files had other names. */
const told = pages.filter(({ path }) => path !== 'CHANGELOG.md');

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test('links lead to files and headings that exist', () => {
  const broken = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : relative(root, resolve(root, dirname(path), file));
      if (!existsSync(join(root, target))) return [`${path}: ${link}`];
      if (anchor === undefined || !target.endsWith('.md')) return [];
      return anchorsOf(readFileSync(join(root, target), 'utf8')).includes(anchor) ? [] : [`${path}: ${link}`];
    }),
  );
  expect(broken).toEqual([]);
});

test('paths of the source that documents name exist', () => {
  const rooms = readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  const path = new RegExp(`^(?:src|test|bench|cluster|${rooms.join('|')})/[\\w./-]*$`);
  const missing = told.flatMap(({ path: page, text }) =>
    [...text.matchAll(/`([^`\s]+)`/g)].flatMap(([, name = '']) => {
      if (!path.test(name) || name.includes('...')) return [];
      const places = ['', 'src', dirname(page), 'test'].map((folder) => join(root, folder, name));
      return places.some(existsSync) ? [] : [`${page}: ${name}`];
    }),
  );
  expect(missing).toEqual([]);
});

test('names of the code that documents give exist', () => {
  const sources = ['src', 'test', 'bench', 'cluster'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|js)$/.test(path))
      .map((path) => readFileSync(join(root, folder, path), 'utf8')),
  );
  const words = new Set(sources.flatMap((text) => text.match(/[A-Za-z_$][\w$]*/g) ?? []));
  // `Connection.greet`, `decodeConnect`, `detached()`, `finRead`
  const name = /^(?:[A-Z][a-z]+[A-Za-z]*|[a-z]+(?:[A-Z][a-z0-9]+)+)(?:\.[a-z]\w*)?(?:\(\))?$/;
  const ours = told.filter(({ path }) => path !== 'cluster/README.md'); // which speaks of aedes
  const unknown = ours.flatMap(({ path, text }) =>
    [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`\n]+)`/g)]
      .map(([, quoted = '']) => quoted)
      .filter((quoted) => name.test(quoted))
      .filter(
        (quoted) =>
          !quoted
            .replace('()', '')
            .split('.')
            .every((part) => words.has(part)),
      )
      .map((quoted) => `${path}: ${quoted}`),
  );
  expect(unknown).toEqual([]);
});

test('the code map names every room of the source', () => {
  const [, map = ''] = readFileSync(join(root, 'docs/architecture.md'), 'utf8').split('## Code map');
  const rooms = readdirSync(join(root, 'src')).filter((name) => !name.endsWith('.md'));
  const named = [...map.matchAll(/^\| \d \| `([\w-]+(?:\.ts)?)\/?` \|/gm)].map(([, room = '']) => room);
  expect(named.sort()).toEqual(rooms.sort());
});

test('what a command passes are no more files than the architecture says', () => {
  const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
  const [, section = ''] = page.split('## What a command passes');
  const [table = ''] = section.split('\n## ');
  const rows = [...table.matchAll(/^\| [^|]+ \| (\d+) \| (.+) \|$/gm)].map(([, most = '', files = '']) => ({
    most: Number(most),
    files: [...files.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file),
  }));
  expect(rows.map(({ most }) => most)).toEqual([14, 9, 12]);
  for (const { most, files } of rows) expect(new Set(files).size).toBeLessThanOrEqual(most);
  expect(rows.flatMap(({ files }) => files).filter((file) => !existsSync(join(root, 'src', file)))).toEqual(
    [],
  );
});

test('each mark of the comparison has a source, and each source is used', () => {
  const text = readFileSync(join(root, 'docs/comparison.md'), 'utf8');
  const marks = new Set([...text.matchAll(/\[([A-Z]\d+)\]/g)].map(([, mark = '']) => mark));
  const sources = [...text.matchAll(/^\| ([A-Z]\d+) \| .*\]\((?:https:|\w).*\|$/gm)].map(
    ([, mark = '']) => mark,
  );
  expect(sources.toSorted()).toEqual([...marks].toSorted());
});
