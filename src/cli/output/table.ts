import type { WriteStream } from 'node:tty';
import { printable } from '../../base/printable.ts';

/** Aligned columns for people. */

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string | number;
  /** Numbers stand right, so that they can be compared. */
  readonly align?: 'left' | 'right';
  readonly colour?: (row: Row) => Colour | undefined;
}

export type Colour = 'red' | 'green' | 'yellow' | 'grey';

const codes: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, grey: 90 };

/** Colour is for terminals, and for those who did not decline it (no-color.org). */
export function wantsColour(stream: Pick<WriteStream, 'isTTY'> = process.stdout): boolean {
  return stream.isTTY === true && (process.env.NO_COLOR ?? '') === '';
}

/** A title line and one line a row, without a line end at the end. */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  colour: boolean,
): string {
  const cells = rows.map((row) => columns.map((column) => printable(String(column.value(row)))));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((line) => line[index]?.length ?? 0)),
  );
  const join = (line: readonly string[], paint: (text: string, index: number) => string) =>
    line
      .map((text, index) => {
        const gap = ' '.repeat((widths[index] ?? 0) - text.length);
        const shown = paint(text, index);
        if (columns[index]?.align === 'right') return gap + shown;
        return index === line.length - 1 ? shown : shown + gap;
      })
      .join('  ');
  const titles = columns.map(({ title }) => title);
  const body = rows.map((row, at) =>
    join(cells[at] ?? [], (text, index) => tint(text, columns[index]?.colour?.(row), colour)),
  );
  return [join(titles, (text) => tint(text, 'grey', colour)), ...body].join('\n');
}

/** One `name  value` line each; what is undefined is left out. */
export function formatDetails(
  details: Readonly<Record<string, string | number | boolean | undefined>>,
): string {
  const known = Object.entries(details).filter(([, value]) => value !== undefined);
  const width = Math.max(0, ...known.map(([name]) => name.length));
  return known.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}`).join('\n');
}

function tint(text: string, colour: Colour | undefined, wanted: boolean): string {
  return wanted && colour !== undefined ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}
