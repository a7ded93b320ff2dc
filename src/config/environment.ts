/** Puts environment variables into the configuration file's values. */

import { isMap, isScalar, isSeq } from 'yaml';
import { type Finding, type Path, pathKey } from './problems.ts';
import { keyOf } from './yaml.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What stood in the file where a value of the environment stands now. */
interface Substitution {
  readonly reference: string;
  readonly value: string;
}

/**
 * Replaces every value of the parsed file that is `${NAME}` as a whole, so that secrets need not stand in it. Parts
 * of a value are left alone: a regular expression or a password may hold such text. Missing variables are findings.
 */
export function substituteEnvironment(contents: unknown, environment: Environment) {
  const done = new Map<string, Substitution>();
  const findings: Finding[] = [];
  visit(contents, []);
  return { findings, hide };

  function visit(here: unknown, path: Path): void {
    if (isMap(here)) for (const { key, value } of here.items) visit(value, [...path, keyOf(key)]);
    else if (isSeq(here)) for (const [index, item] of here.items.entries()) visit(item, [...path, index]);
    else if (isScalar(here) && typeof here.value === 'string') {
      const [reference, name] = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(here.value) ?? [];
      if (reference === undefined || name === undefined) return;
      const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
      if (value === undefined) findings.push({ path, message: `environment variable ${name} is not set` });
      else done.set(pathKey(path), { reference, value });
      here.value = value ?? reference;
    }
  }

  /** Problems quote what is wrong; a value of the environment may be a secret, so its name is quoted instead. */
  function hide(finding: Finding): Finding {
    const one = done.get(pathKey(finding.path));
    if (one === undefined || one.value === '') return finding;
    const shown = finding.message.replaceAll(one.value, one.reference);
    return { ...finding, message: shown.replaceAll(one.value.slice(0, 80), one.reference) };
  }
}
