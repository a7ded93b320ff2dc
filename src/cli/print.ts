import { type Column, formatDetails, formatTable, wantsColour } from './table.ts';

/** Standard output of commands: JSON for machines, tables for people. */

export function printJson(value: unknown): void {
  console.log(JSON.stringify(value, null, 2));
}

/** `none` is said instead of an empty table. */
export function printTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], none: string): void {
  console.log(rows.length === 0 ? none : formatTable(columns, rows, wantsColour()));
}

export function printDetails(details: Readonly<Record<string, string | number | boolean | undefined>>): void {
  console.log(formatDetails(details));
}
