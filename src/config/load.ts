import {
  isMap,
  isNode,
  isPair,
  isSeq,
  LineCounter,
  parseDocument,
  type Document as YamlDocument,
  type Node as YamlNode,
} from 'yaml';
import { messageOf } from '../errors.ts';
import { type Config, toConfig } from './config.ts';
import { substituteEnvironment } from './environment.ts';
import { type Flags, mergeFlags } from './flags.ts';
import { ConfigError, type Finding, findingsOf, formatPath, type Path, type Problem } from './problems.ts';
import { findBrokenReferences } from './references.ts';
import { documentSchema } from './schema.ts';

/**
 * Reads the configuration from the text of a file, with the flags laid over it.
 * @throws ConfigError (CONFIG_INVALID) with all problems at once, each with its path and line.
 */
export function parseConfig(text: string, fileName: string, flags: Flags = {}): Config {
  const lines = new LineCounter();
  const yaml = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const faults = [...yaml.errors, ...yaml.warnings];
  if (faults.length > 0) {
    const at = (offset: number) => lines.linePos(offset).line;
    throw new ConfigError(
      fileName,
      faults.map(({ pos, message }) => ({ path: '', line: at(pos[0]), message })),
    );
  }

  const environment = substituteEnvironment(yaml.contents, flags.environment ?? {});
  const { raw, flagOf, findings } = mergeFlags(toValue(yaml, fileName) ?? {}, flags);
  const checked = documentSchema.safeParse(raw, { reportInput: true });
  const unset = new Set(environment.findings.map(({ path }) => formatPath(path)));
  const found: Finding[] = [
    ...environment.findings,
    ...[
      ...findings,
      ...(checked.success ? [] : findingsOf(checked.error)),
      ...findBrokenReferences(raw),
    ].filter(({ path }) => !unset.has(formatPath(path))),
  ].map(environment.hide);
  const locate = ({ path, message, code }: Finding): Problem => {
    const flag = flagOf(path);
    const line = flag === undefined ? lineOf(yaml.contents, path, lines) : undefined;
    return { path: flag ?? formatPath(path), line, message, ...(code === undefined ? {} : { code }) };
  };
  if (!checked.success || found.length > 0) throw new ConfigError(fileName, found.map(locate).sort(byLine));
  const isFlagNode = (pool: string, index: number) => flagOf(['pools', pool, 'nodes', index]) !== undefined;
  return toConfig(checked.data, isFlagNode, fileName);
}

/** The aliases of a few lines may unfold to gigabytes; their number is bounded. */
function toValue(yaml: YamlDocument, fileName: string): unknown {
  try {
    return yaml.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new ConfigError(fileName, [{ path: '', line: undefined, message: messageOf(error) }]);
  }
}

/** What runs without a file. */
export function defaultConfig(flags: Flags = {}): Config {
  return parseConfig('', 'command line', flags);
}

/** Line of the value at `path`, or of the nearest thing around it that is in the file. */
function lineOf(contents: YamlNode | null, path: Path, lines: LineCounter): number | undefined {
  let offset = contents?.range?.[0];
  let here: unknown = contents;
  for (const key of path) {
    if (isMap(here)) {
      const pair = here.items.find((item) => isPair(item) && String(item.key) === String(key));
      if (pair === undefined) break;
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      here = pair.value;
    } else if (isSeq(here)) {
      here = here.items[Number(key)];
      if (isNode(here)) offset = here.range?.[0] ?? offset;
    } else break;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

function byLine(a: Problem, b: Problem): number {
  return (a.line ?? 0) - (b.line ?? 0);
}
