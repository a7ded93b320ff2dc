import { printableLines } from '../../base/printable.ts';
import { type Column, formatDetails, formatTable, wantsColour } from './table.ts';

/**
 * Output of commands: JSON for machines, tables for people. Names that others chose reach no terminal as they are; only the
 * colours of a table are ours.
 */

export function print(text: string): void {
  console.log(printableLines(text));
}

/** On standard error. */
export function printError(text: string): void {
  console.error(printableLines(text));
}

export function printJson(value: unknown): void {
  console.log(jsonText(value));
}

export function jsonText(value: unknown): string {
  return printableLines(JSON.stringify(value, null, 2));
}

/** What a command has done: the value for machines where `--json` asks for it, else the sentence for people. */
export function report(
  { json }: { readonly json?: boolean | undefined },
  value: unknown,
  sentence: string,
): void {
  if (json) printJson(value);
  else print(sentence);
}

/** `none` is said instead of an empty table. */
export function printTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], none: string): void {
  console.log(tableText(columns, rows, none));
}

/** As wide as the terminal, where it goes to one. */
export function tableText<Row>(columns: readonly Column<Row>[], rows: readonly Row[], none: string): string {
  if (rows.length === 0) return none;
  const width = process.stdout.isTTY ? process.stdout.columns : undefined;
  return formatTable(columns, rows, wantsColour(), width);
}

export function printDetails(details: Readonly<Record<string, string | number | boolean | undefined>>): void {
  console.log(formatDetails(details));
}
