import { describe, expect, it } from 'vitest';
import { type Column, formatDetails, formatTable } from '../../../../src/cli/output/table.ts';

type Row = readonly [string, number];
const columns: readonly Column<Row>[] = [
  { title: 'NAME', value: ([name]) => name, colour: ([name]) => (name === 'a' ? 'red' : undefined) },
  { title: 'N', value: ([, n]) => n, align: 'right' },
];

describe('formatTable', () => {
  it('aligns text left and numbers right', () => {
    const rows: Row[] = [
      ['a', 1],
      ['longer', 1000],
    ];
    expect(formatTable(columns, rows, false)).toBe('NAME       N\na          1\nlonger  1000');
  });

  it('colours without moving the columns', () => {
    const plain = formatTable(columns, [['a', 1]], false);
    const coloured = formatTable(columns, [['a', 1]], true);
    expect(coloured).toContain('\u001b[31ma\u001b[0m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what colours are made of
    expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(plain);
  });

  it('lets no client id steer the terminal', () => {
    expect(formatTable(columns, [['\u001b[2Jx\n', 1]], false)).toContain('\\u001b[2Jx\\u000a');
  });
});

describe('formatDetails', () => {
  it('gives a line to each detail that is known', () => {
    expect(formatDetails({ id: 'a', address: undefined, weight: 10 })).toBe('id      a\nweight  10');
  });
});
