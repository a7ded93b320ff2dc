import type { Config } from './config.ts';
import { ConfigError, type Finding, type Problem, unplaced } from './problems.ts';

/** Where the values of a configuration came from. */
export interface ConfigSource {
  readonly fileName: string;
  /** Where in the file, or by which flag. */
  place(finding: Finding): Problem;
}

/** Beside the configurations, because these are compared as plain data. */
const sources = new WeakMap<Config, ConfigSource>();

export function rememberSource(config: Config, source: ConfigSource): void {
  sources.set(config, source);
}

/** What is wrong with a configuration, found only when it was used: with the line of each value, as the schema's problems. */
export function configError(config: Config, found: readonly Finding[]): ConfigError {
  return new ConfigError(sources.get(config)?.fileName ?? 'configuration', placed(config, found));
}

/** With the line of each value. */
export function placed(config: Config, found: readonly Finding[]): Problem[] {
  return found.map(sources.get(config)?.place ?? unplaced);
}

/** Instead of a file's name, where there is none. */
export const NO_FILE = 'command line';
/** What gives a value where no file does. */
const flags: Readonly<Record<string, string>> = { listeners: '--listen', admin: '--admin' };

/** Where a value is to be changed: `line 3, column 5: listeners[0].url`, or `--listen mqtt://…`. */
export function placeOf(config: Config, path: Finding['path']): string {
  const source = sources.get(config);
  const { line, column, path: name } = (source?.place ?? unplaced)({ path, message: '' });
  if (line !== undefined) return `line ${line}, column ${column}: ${name}`;
  const flag = flags[String(path[0])];
  return source?.fileName === NO_FILE && flag !== undefined && !name.startsWith('--') ? flag : name;
}
