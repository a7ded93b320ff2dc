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

  it('counts the columns that characters take', () => {
    const rows: Row[] = [
      ['温度', 1],
      ['e\u0301abc', 2],
    ];
    expect(formatTable(columns, rows, false)).toBe('NAME  N\n温度  1\ne\u0301abc  2');
  });

  it('cuts what may be cut to the width of a terminal, the widest first, and never to nothing', () => {
    const cuttable: readonly Column<Row>[] = [
      { title: 'NAME', value: ([name]) => name, cut: true },
      { title: 'URL', value: () => 'mqtt://10.0.0.1', cut: true },
      { title: 'N', value: ([, n]) => n, align: 'right' },
    ];
    const table = (width: number) =>
      formatTable(cuttable, [['m'.repeat(100), 7]], false, width).split('\n')[1];
    expect(table(40)).toBe(`${'m'.repeat(19)}…  mqtt://10.0.0.1  7`);
    expect(table(10)).toBe(`${'m'.repeat(11)}…  mqtt://10.0…  7`);
    expect(table(1000)).toBe(`${'m'.repeat(100)}  mqtt://10.0.0.1  7`);
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
