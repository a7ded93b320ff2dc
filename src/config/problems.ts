import type { z } from 'zod';
import { BreakwaterError, type ErrorCode } from '../base/errors.ts';
import { didYouMean } from '../base/similar.ts';
import { list } from './fields.ts';

/** Keys and indexes from the top of the file to a value. */
export type Path = readonly PropertyKey[];

/** A place in the file; both are counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong, and where. */
export interface Problem {
  /** Such as `pools.default.nodes[0].weight`; empty for the file as a whole. */
  readonly path: string;
  /** Absent where nothing in the file stands for it: the value came from a flag or the environment, or the file is not at hand. */
  readonly line: number | undefined;
  readonly column?: number | undefined;
  readonly message: string;
  readonly code?: ErrorCode | undefined;
}

/** Problems before they are placed in the file. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  readonly code?: ErrorCode | undefined;
}

/** More than a person reads at one time; what is beyond them is counted. */
const MAX_PROBLEMS = 50;

/**
 * CONFIG_INVALID with what is wrong, in the order of the file and each thing once: the message lists it, `problems` has it
 * for programs, and `more` is how many there are besides.
 */
export class ConfigError extends BreakwaterError {
  readonly fileName: string;
  readonly problems: readonly Problem[];
  readonly more: number;

  /** @param unlisted how many there are besides those that were found */
  constructor(fileName: string, found: readonly Problem[], unlisted = 0) {
    const all = [...new Map(found.map((one) => [formatProblem(one), one])).values()].sort(byPosition);
    const problems = all.slice(0, MAX_PROBLEMS);
    const more = all.length - problems.length + unlisted;
    const total = problems.length + more;
    const count = total === 1 ? 'one problem' : `${total} problems`;
    const lines = problems.map((one) => `  ${formatProblem(one)}`);
    if (more > 0) lines.push(`  … and ${more} more`);
    super('CONFIG_INVALID', `${fileName}: ${count}\n${lines.join('\n')}`);
    this.name = 'ConfigError';
    this.fileName = fileName;
    this.problems = problems;
    this.more = more;
  }
}

function byPosition(a: Problem, b: Problem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

/** `line 7, column 5: pools.default.nodes[0].weight: must be …` */
export function formatProblem({ path, line, column, message }: Problem): string {
  const where = column === undefined ? `line ${line}: ` : `line ${line}, column ${column}: `;
  return [line === undefined ? '' : where, path === '' ? '' : `${path}: `, message].join('');
}

/** `pools.default.nodes[0].weight` */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

/** One text for each path: names may hold dots. */
export function pathKey(path: Path): string {
  return path.map(String).join('\0');
}

/** A finding whose file is not at hand. */
export function unplaced({ path, message, code }: Finding): Problem {
  return { path: formatPath(path), line: undefined, message, ...(code && { code }) };
}

/**
 * What the schema found, in words that name the remedy; one finding for each unknown key.
 * @param known the keys that may stand at a path
 */
export function findingsOf(error: z.ZodError, known: (path: Path) => readonly string[]): Finding[] {
  let hints = 0; // what is not shown needs none
  return error.issues.flatMap((issue): Finding[] => {
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => {
          const hint = ++hints > MAX_PROBLEMS ? '' : didYouMean(key, known(issue.path));
          return { path: [...issue.path, key], message: `is not a known key${hint}` };
        });
      case 'invalid_key':
        return issue.issues.map(({ message }) => ({ path: issue.path, message: `the name ${message}` }));
      case 'invalid_type':
        return [
          {
            path: issue.path,
            message: issue.message.startsWith('Invalid input') ? plain(issue) : issue.message,
          },
        ];
      default:
        return [{ path: issue.path, message: issue.message }];
    }
  });
}

const kinds: Readonly<Record<string, string>> = { object: 'a mapping', record: 'a mapping', array: 'a list' };

function plain({ expected, input }: { readonly expected: string; readonly input?: unknown }): string {
  if (input === undefined) return 'is required';
  const what = kinds[expected] ?? expected;
  return input === null ? `is empty; give ${what} or leave the key out` : `must be ${what}`;
}

/** Of thousands of names, a message holds the first. */
const MAX_NAMES = 20;

/**
 * Says of names that do not exist which ones do: `pool 'metres' does not exist (did you mean 'meters'?); use default or meters`.
 * A hint takes a look at every name, and what is not shown needs none.
 */
export function unknownNames(what: string, known: readonly string[]): (name: string) => string {
  const more = known.length - MAX_NAMES;
  const choice = list(more > 0 ? [...known.slice(0, MAX_NAMES), `one of ${more} more`] : known);
  let hints = 0;
  return (name) => {
    const hint = ++hints > MAX_PROBLEMS ? '' : didYouMean(name, known);
    return `${what} '${name}' does not exist${hint}; use ${choice}`;
  };
}
