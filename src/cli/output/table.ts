import type { WriteStream } from 'node:tty';
import { printable } from '../../base/printable.ts';
import { cutTo, widthOf } from './width.ts';

/** Aligned columns for people. */

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string | number;
  /** Numbers stand right, so that they can be compared. */
  readonly align?: 'left' | 'right';
  /** What is too long for a terminal is cut here, such as client ids. */
  readonly cut?: boolean;
  readonly colour?: (row: Row) => Colour | undefined;
}

export type Colour = 'red' | 'green' | 'yellow' | 'grey';

const codes: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, grey: 90 };

/** Colour is for terminals, and for those who did not decline it (no-color.org). */
export function wantsColour(stream: Pick<WriteStream, 'isTTY'> = process.stdout): boolean {
  return stream.isTTY === true && (process.env.NO_COLOR ?? '') === '';
}

/** Of a column that is cut, at least so much is left. */
const MIN_CUT_WIDTH = 12;
const GAP = '  ';

/**
 * A title line and one line a row, without a line end at the end.
 * @param columnsLeft width of the terminal; columns that may be cut make room, the widest first. Absent: nothing is cut.
 */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  colour: boolean,
  columnsLeft = Number.POSITIVE_INFINITY,
): string {
  const cells = rows.map((row) => columns.map((column) => printable(String(column.value(row)))));
  const widths = fitted(
    columns.map(({ title, cut = false }, index) => ({
      width: cells.reduce((most, line) => Math.max(most, widthOf(line[index] ?? '')), title.length),
      cut,
    })),
    columnsLeft,
  );
  const join = (line: readonly string[], paint: (text: string, index: number) => string) =>
    line
      .map((whole, index) => {
        const width = widths[index] ?? 0;
        const text = cutTo(whole, width);
        const gap = ' '.repeat(width - widthOf(text));
        const shown = paint(text, index);
        if (columns[index]?.align === 'right') return gap + shown;
        return index === line.length - 1 ? shown : shown + gap;
      })
      .join(GAP);
  const titles = columns.map(({ title }) => title);
  const body = rows.map((row, at) =>
    join(cells[at] ?? [], (text, index) => tint(text, columns[index]?.colour?.(row), colour)),
  );
  return [join(titles, (text) => tint(text, 'grey', colour)), ...body].join('\n');
}

/** The widths of columns, made to fit as far as those that may be cut allow. */
function fitted(
  wanted: readonly { readonly width: number; readonly cut: boolean }[],
  room: number,
): number[] {
  const widths = wanted.map(({ width }) => width);
  let over = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - room;
  for (; over > 0; over--) {
    const widest = widths.reduce(
      (found, width, index) =>
        wanted[index]?.cut && width > Math.max(MIN_CUT_WIDTH, widths[found] ?? 0) ? index : found,
      -1,
    );
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
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
