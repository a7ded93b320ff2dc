import type { PatternField, RuleInput } from './conditions.ts';
import { patternFields } from './conditions.ts';
import type { Pattern } from './pattern.ts';

/**
 * What devices that match a rule are hashed by, instead of their client id or address: text in which `$1` to `$9`
 * stand for what the rule's capture groups matched, numbered through `patternFields`; `$$` is a dollar sign.
 */
export type KeyTemplate = string;

/** What is wrong with a template where the rule has so many capture groups; undefined when nothing is. */
export function keyProblem(template: KeyTemplate, groups: number): string | undefined {
  for (const [reference, digit] of template.matchAll(/\$(\d|\$)?/g)) {
    if (digit === '$') continue;
    if (digit === undefined || digit === '0')
      return `'${reference}' is no reference; use $1 to $9, or $$ for a dollar sign`;
    if (Number(digit) > groups) {
      const has = groups === 0 ? 'no capture group' : `${groups} capture group${groups === 1 ? '' : 's'}`;
      return `${reference} refers to nothing: the patterns of this rule have ${has}`;
    }
  }
  return undefined;
}

/**
 * Compiles a template for the patterns of its rule. The key is undefined when no group that it names matched any text:
 * such devices are hashed as without a rule, rather than all to one node.
 */
export function compileKey(
  template: KeyTemplate,
  patterns: readonly (readonly [PatternField, Pattern])[],
): (input: RuleInput) => string | undefined {
  const ordered = patternFields.flatMap((field) => patterns.filter(([name]) => name === field));
  const parts = template.split(/(\$[1-9$])/).map((part) => {
    if (part === '$$') return '$';
    return /^\$[1-9]$/.test(part) ? Number(part[1]) - 1 : part;
  });
  const isFixed = parts.every((part) => typeof part === 'string');
  return (input) => {
    const groups = ordered.flatMap(([field, pattern]) => pattern.capture(input[field] ?? ''));
    let matched = isFixed;
    let key = '';
    for (const part of parts) {
      const text = typeof part === 'string' ? part : (groups[part] ?? '');
      matched ||= typeof part === 'number' && text !== '';
      key += text;
    }
    return matched ? key : undefined;
  };
}
