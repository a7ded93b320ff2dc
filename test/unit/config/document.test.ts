import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { configurationPage } from '../../../src/config/document.ts';
import { exampleDocument } from '../../../src/config/example.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { documentSchema } from '../../../src/config/schema.ts';

describe('docs/configuration.md', () => {
  it('is what the schema says now (npm run docs writes it)', () => {
    const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
    expect(page).toBe(configurationPage());
  });

  it('has an example that is valid, with every top-level key', () => {
    expect(parseConfig(exampleDocument, 'example.yaml').pools.map(({ name }) => name)).toEqual([
      'default',
      'meters',
      'dashboards',
    ]);
    for (const key of Object.keys(documentSchema.shape))
      expect(exampleDocument).toMatch(new RegExp(`^${key}:`, 'm'));
  });

  it('tells the meaning of every key', () => {
    const rows = configurationPage()
      .split('\n')
      .filter((line) => line.startsWith('| `'));
    expect(rows.length).toBeGreaterThanOrEqual(40);
    expect(rows.filter((row) => /\|\s*\|$/.test(row))).toEqual([]);
  });
});
