import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../support/cli.ts';
import { temporaryDirectory } from '../support/process.ts';

/** Every configuration in the pages for those who come from another proxy is one that `breakwater check` accepts. */

const docs = resolve(import.meta.dirname, '../../docs');

describe.each(['migrating-from-haproxy.md', 'migrating-from-nginx.md'])('%s', (page) => {
  const text = readFileSync(join(docs, page), 'utf8');
  const configurations = [...text.matchAll(/^## (.+)$|```yaml\n([^`]+)```/gm)].reduce<
    { heading: string; yaml: string }[]
  >((all, [, heading, yaml]) => {
    if (heading !== undefined) all.push({ heading, yaml: '' });
    const last = all.at(-1);
    if (yaml !== undefined && last !== undefined) last.yaml += yaml;
    return all;
  }, []);
  const written = configurations.filter(({ yaml }) => yaml !== '');

  test('has some', () => {
    expect(written.length).toBeGreaterThanOrEqual(3);
  });

  test.each(written)('$heading', async ({ yaml }) => {
    const file = join(temporaryDirectory(), 'breakwater.yaml');
    writeFileSync(file, yaml);
    const { code, stderr } = await run(['check', '--elsewhere', '-c', file]); // its certificates are not here
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
