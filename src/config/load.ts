import type { Document as YamlDocument } from 'yaml';
import { type Config, toConfig } from './config.ts';
import { substituteEnvironment } from './environment.ts';
import { type Flags, type Merged, mergeFlags } from './flags.ts';
import { knownKeys } from './json-schema.ts';
import { ConfigError, type Finding, findingsOf, formatPath, pathKey } from './problems.ts';
import { findBrokenReferences } from './references.ts';
import { type Document, documentSchema } from './schema.ts';
import { type ConfigSource, NO_FILE, rememberSource } from './source.ts';
import { readYaml, type YamlFile } from './yaml.ts';

/**
 * Reads the configuration from the text of a file, with the flags laid over it.
 * @throws ConfigError (CONFIG_INVALID) with all problems at once, each with its path and line.
 */
export function parseConfig(text: string, fileName: string, flags: Flags = {}): Config {
  const { document, flagOf, place } = readDocument(text, fileName, flags);
  const isFlagNode = (pool: string, index: number) => flagOf(['pools', pool, 'nodes', index]) !== undefined;
  const config = toConfig(document, isFlagNode, fileName);
  rememberSource(config, { fileName, place });
  return config;
}

/** The same in the file's words and units, with every default filled in, and with its secrets. @throws ConfigError */
export function effectiveDocument(text: string, fileName: string, flags: Flags = {}): Document {
  return readDocument(text, fileName, flags).document;
}

function readDocument(text: string, fileName: string, flags: Flags) {
  const yaml = readYaml(text);
  if (yaml.kind === 'faulty')
    throw new ConfigError(
      fileName,
      yaml.faults.map(({ path, message, position }) => ({ path: formatPath(path), message, ...position })),
    );
  const { document } = yaml;
  const environment = substituteEnvironment(document.contents, flags.environment ?? {});
  const { raw, flagOf, findings } = mergeFlags(toValue(document, fileName) ?? {}, flags);
  const place = placing(yaml, flagOf);
  const checked = documentSchema.safeParse(raw, { reportInput: true });
  const found = firstOfEach([
    ...environment.findings,
    ...findings,
    ...(checked.success ? [] : findingsOf(checked.error, knownKeys())),
    ...findBrokenReferences(raw),
  ]).map(environment.hide);
  if (!checked.success || found.length > 0) throw new ConfigError(fileName, found.map(place));
  return { document: checked.data, flagOf, place };
}

type Place = ConfigSource['place'];

/** Where values stand: those of flags in no file. */
function placing(yaml: YamlFile, flagOf: Merged['flagOf']): Place {
  return ({ path, message, code }) => {
    const flag = flagOf(path);
    const isInFile = flag === undefined && yaml.kind === 'read';
    const { line, column } = (isInFile ? yaml.positionOf(path) : undefined) ?? {};
    return { path: flag ?? formatPath(path), line, column, message, ...(code && { code }) };
  };
}

/** The source of a configuration that was read elsewhere. The text is read again only when something is wrong. */
export function sourceIn(text: string, fileName: string, flags: Flags): ConfigSource {
  let place: Place | undefined;
  return {
    fileName,
    place(finding) {
      if (place === undefined) {
        const yaml = readYaml(text);
        const file = yaml.kind === 'read' ? (toValue(yaml.document, fileName) ?? {}) : {};
        place = placing(yaml, mergeFlags(file, flags).flagOf);
      }
      return place(finding);
    },
  };
}

/** What is said of one value: a value of the wrong kind is not looked at further, though it may break more than one rule. */
function firstOfEach(found: readonly Finding[]): Finding[] {
  const known = new Set<string>();
  return found.filter(({ path }) => {
    const key = pathKey(path);
    const isFirst = !known.has(key);
    known.add(key);
    return isFirst;
  });
}

/** Aliases of aliases may still unfold too far: the library looks at that. */
function toValue(yaml: YamlDocument, fileName: string): unknown {
  try {
    return yaml.toJS({ maxAliasCount: 100 });
  } catch {
    const message = 'its aliases unfold to too much; write their values out';
    throw new ConfigError(fileName, [{ path: '', line: undefined, message }]);
  }
}

/** What runs without a file. */
export function defaultConfig(flags: Flags = {}): Config {
  return parseConfig('', NO_FILE, flags);
}
