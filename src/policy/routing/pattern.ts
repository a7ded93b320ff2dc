import { RE2JS, type RE2JSSyntaxException } from 're2js';
import { messageOf } from '../../base/errors.ts';

/**
 * The regular expressions of rules, in the syntax of RE2 (https://github.com/google/re2/wiki/Syntax). Devices choose
 * the text that is matched, so a match takes time linear in it, whatever the pattern: RE2 never goes back. What cannot
 * be matched so (look-around, backreferences) is refused with the configuration.
 */
export interface Pattern {
  readonly source: string;
  /** Number of capture groups. */
  readonly groups: number;
  /** Does it match anywhere in the text? */
  test(text: string): boolean;
  /** The text of each capture group, the first at 0; undefined where a group took no part, or nothing matches. */
  capture(text: string): readonly (string | undefined)[];
}

/** Instructions of a compiled pattern: with the text's length they bound the work of a match. Common ones have 5 to 50. */
export const MAX_PATTERN_SIZE = 250;

/** @throws Error that says in words what of the pattern is wrong or not supported */
export function compilePattern(source: string): Pattern {
  const compiled = compile(source);
  if (compiled.programSize() > MAX_PATTERN_SIZE) {
    throw new Error(
      `is too large: it compiles to ${compiled.programSize()} steps of at most ${MAX_PATTERN_SIZE}; use smaller repeats`,
    );
  }
  const groups = compiled.groupCount();
  const prefix = literalPrefix(source);
  const general = (text: string): boolean => text.startsWith(prefix) && compiled.test(text);
  return {
    source,
    groups,
    test: literalTest(source) ?? general,
    capture(text) {
      const found: (string | undefined)[] = new Array(groups);
      if (groups === 0) return found;
      const matcher = compiled.matcher(text);
      const matches = text.startsWith(prefix) && matcher.find();
      for (let i = 0; i < groups; i++) found[i] = matches ? (matcher.group(i + 1) ?? undefined) : undefined;
      return found;
    },
  };
}

/** What is wrong with a pattern, in words; undefined when nothing is. */
export function patternProblem(source: string): string | undefined {
  try {
    compilePattern(source);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** What people know from other engines and RE2 lacks on purpose. */
const unsupported: readonly (readonly [RegExp, string])[] = [
  [/\(\?<?[=!]/, 'look-around such as (?=…) and (?<!…)'],
  [/\\[1-9]|\\k</, 'backreferences such as \\1'],
  [/\(\?>|[*+?}]\+/, 'atomic groups and possessive quantifiers'],
  [/\\u/, '\\u; write \\x{…} instead'],
];

function compile(source: string): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    const [, what] = unsupported.find(([hint]) => hint.test(source)) ?? [];
    const detail = messageOf(error as RE2JSSyntaxException).replace(/^error parsing regexp: /, '');
    throw new Error(
      what === undefined
        ? `is no valid pattern: ${detail}`
        : `uses what patterns of linear time do not have: ${what} (${detail})`,
      { cause: error },
    );
  }
}

/** Characters that stand for themselves: printable ASCII without the special ones, and those behind a backslash. */
const LITERAL = String.raw`(?:[^\x00-\x1f\x7f-\uffff\\^$.|?*+()[\]{}]|\\[!-\/:-@[-\`{-~])`;
const wholeLiteral = new RegExp(`^(\\^?)(${LITERAL}*)(\\$?|\\.\\*)$`);
/** The last character may yet be repeated or left out by what follows it. */
const startLiteral = new RegExp(`^\\^(${LITERAL}*)(?=${LITERAL}|[.([$]|\\\\[^1-9]|$)`);

/** Most rules ask for a fixed text at the start, at the end or anywhere: a comparison of strings answers them. */
function literalTest(source: string): ((text: string) => boolean) | undefined {
  const [, start, escaped, end] = wholeLiteral.exec(source) ?? [];
  if (escaped === undefined) return undefined;
  const literal = unescaped(escaped);
  if (start === '^') return end === '$' ? (text) => text === literal : (text) => text.startsWith(literal);
  return end === '$' ? (text) => text.endsWith(literal) : (text) => text.includes(literal);
}

/** What a text must begin with to match; empty where that cannot be told cheaply. */
function literalPrefix(source: string): string {
  if (source.includes('|')) return '';
  return unescaped(startLiteral.exec(source)?.[1] ?? '');
}

function unescaped(literal: string): string {
  return literal.replace(/\\(.)/g, '$1');
}
