import type { z } from 'zod';
import { BreakwaterError, type ErrorCode } from '../errors.ts';
import { list } from './fields.ts';

/** Keys and indexes from the top of the file to a value. */
export type Path = readonly PropertyKey[];

/** One thing that is wrong, and where. */
export interface Problem {
  /** Such as `pools.default.nodes[0].weight`; empty for the file as a whole. */
  readonly path: string;
  /** Counted from 1; absent where the value came from a flag. */
  readonly line: number | undefined;
  readonly message: string;
  readonly code?: ErrorCode;
}

/** Problems before they are placed in the file. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  readonly code?: ErrorCode;
}

/** CONFIG_INVALID with everything that is wrong: the message lists it all, `problems` has it for programs. */
export class ConfigError extends BreakwaterError {
  readonly fileName: string;
  readonly problems: readonly Problem[];

  constructor(fileName: string, problems: readonly Problem[]) {
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
    super(
      'CONFIG_INVALID',
      `${fileName}: ${count}\n${problems.map((one) => `  ${formatProblem(one)}`).join('\n')}`,
    );
    this.name = 'ConfigError';
    this.fileName = fileName;
    this.problems = problems;
  }
}

/** `line 7: pools.default.nodes[0].weight: must be …` */
export function formatProblem({ path, line, message }: Problem): string {
  return [line === undefined ? '' : `line ${line}: `, path === '' ? '' : `${path}: `, message].join('');
}

/** `pools.default.nodes[0].weight` */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

/** What the schema found, in words that name the remedy; one finding for each unknown key. */
export function findingsOf(error: z.ZodError): Finding[] {
  return error.issues.flatMap((issue): Finding[] => {
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => ({ path: [...issue.path, key], message: 'is not a known key' }));
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

/** `'metres' does not exist; there is default, meters` */
export function unknownName(name: unknown, known: readonly string[]): string {
  return `pool '${String(name)}' does not exist; use ${list(known)}`;
}
