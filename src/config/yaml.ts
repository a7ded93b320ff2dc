import {
  Composer,
  CST,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
  type Document as YamlDocument,
  type Node as YamlNode,
} from 'yaml';
import type { Finding, Path, Position } from './problems.ts';

/** A file of YAML, or why it is none. */
export type YamlFile =
  | { readonly kind: 'read'; readonly document: YamlDocument; positionOf(path: Path): Position | undefined }
  | { readonly kind: 'faulty'; readonly faults: readonly Fault[] };

export interface Fault extends Finding {
  readonly position: Position;
}

/** What is deeper is no configuration, and what walks it would run out of stack. */
const MAX_DEPTH = 32;
/** The longest list of the schema, `nodes`, may have so many entries; no mapping has nearly as many keys. */
const MAX_ENTRIES = 1024;
/** Where there are so many, it is not even read to its end. */
const MAX_READ_ENTRIES = 4 * MAX_ENTRIES;
/** Aliases of a few lines may unfold to gigabytes. */
const MAX_ALIASES = 100;
/** Documents and directives (`%`), of which there should be one and none, and errors. */
const MAX_PARTS = 100;

/**
 * Reads YAML in a time that is linear in its length, whatever it holds: what costs more in the library (nesting,
 * aliases, the search for keys that come twice) is looked at before, or done here.
 */
export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const fault = (offset: number, message: string): Fault => ({ path: [], message, position: at(offset) });
  const tokens = tokensOf(text, lines);
  if ('message' in tokens) return { kind: 'faulty', faults: [fault(tokens.offset, tokens.message)] };

  const composer = new Composer({ prettyErrors: false, stringKeys: true, uniqueKeys: false });
  const [document, second] = [...composer.compose(tokens, true, text.length)];
  const faults = [...(document?.errors ?? []), ...(document?.warnings ?? [])].map(({ pos, message }) =>
    fault(pos[0], message),
  );
  if (second !== undefined)
    faults.push(fault(second.range[0], 'a second document begins here; a configuration is one'));
  const contents = document?.contents ?? null;
  if (document !== undefined && faults.length === 0) faults.push(...findBadCollections(contents, fault));
  if (document === undefined || faults.length > 0) return { kind: 'faulty', faults };
  return { kind: 'read', document, positionOf: positions(contents, at) };
}

interface Shapeless {
  readonly offset: number;
  readonly message: string;
}

/** The text in parts, or why it is not read to its end. */
function tokensOf(text: string, lines: LineCounter): CST.Token[] | Shapeless {
  const parser = new Parser(lines.addNewLine);
  const tokens: CST.Token[] = [];
  const take = (part: Iterable<CST.Token>): void => {
    for (const token of part) {
      tokens.push(token);
      if (token.type === 'error') errors++;
      else if (token.type === 'document' || token.type === 'directive') parts++;
    }
  };
  const refuse = (message: string): Shapeless => ({ offset: parser.offset, message });
  let aliases = 0;
  let errors = 0;
  let parts = 0;
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    if (CST.tokenType(lexeme) === 'alias' && ++aliases > MAX_ALIASES)
      return refuse(`more than ${MAX_ALIASES} aliases; write their values out`);
    take(parser.next(lexeme));
    const { stack } = parser;
    if (stack.length > MAX_DEPTH) return refuse(`nested deeper than ${MAX_DEPTH} levels`);
    const top = stack.at(-1);
    if (top !== undefined && 'items' in top && top.items.length > MAX_READ_ENTRIES)
      return refuse(`a list or mapping goes on for more than ${MAX_READ_ENTRIES} entries`);
    if (errors > MAX_PARTS) break; // they are told
    if (parts > MAX_PARTS) return refuse(`more than ${MAX_PARTS} documents and directives`);
  }
  take(parser.end());
  return tokens;
}

type MakeFault = (offset: number, message: string) => Fault;

/** Collections that are too large, and keys that come twice. */
function findBadCollections(contents: unknown, fault: MakeFault): Fault[] {
  const found: Fault[] = [];
  const visit = (here: unknown, path: Path): void => {
    if (!isMap(here) && !isSeq(here)) return;
    if (here.items.length > MAX_ENTRIES) {
      const what = isMap(here) ? 'keys' : 'entries';
      const message = `holds ${here.items.length} ${what}; nothing in a configuration has more than ${MAX_ENTRIES}`;
      found.push({ ...fault(here.range?.[0] ?? 0, message), path });
      return;
    }
    if (isSeq(here)) {
      for (const [index, item] of here.items.entries()) visit(item, [...path, index]);
      return;
    }
    const keys = new Set<string>();
    for (const { key, value } of here.items) {
      const name = keyOf(key);
      const inside = [...path, name];
      if (keys.has(name)) {
        const offset = isNode(key) ? key.range?.[0] : undefined;
        found.push({ ...fault(offset ?? 0, 'is given twice; leave one out'), path: inside });
      }
      keys.add(name);
      visit(value, inside);
    }
  };
  visit(contents, []);
  return found;
}

/** Keys are strings (`stringKeys`), of which an empty one may be no node at all. */
export function keyOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : typeof key === 'string' ? key : '';
}

/**
 * Where the value at a path begins, or else the nearest thing around it that is in the file; undefined where not even the
 * first key of the path is.
 */
function positions(contents: YamlNode | null, at: (offset: number) => Position) {
  const known = new WeakMap<object, Map<string, unknown>>();
  const pairsOf = (map: { readonly items: readonly unknown[] }): Map<string, unknown> => {
    const pairs =
      known.get(map) ??
      new Map(map.items.filter((item) => isPair(item)).map((pair) => [keyOf(pair.key), pair]));
    known.set(map, pairs);
    return pairs;
  };
  return (path: Path): Position | undefined => {
    let offset = contents?.range?.[0];
    let here: unknown = contents;
    for (const key of path) {
      if (isMap(here)) {
        const pair = pairsOf(here).get(String(key));
        if (!isPair(pair)) {
          if (here === contents) return undefined;
          break;
        }
        if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
        here = pair.value;
      } else if (isSeq(here)) {
        here = here.items[Number(key)];
        if (isNode(here)) offset = here.range?.[0] ?? offset;
      } else break;
    }
    return offset === undefined ? undefined : at(offset);
  };
}
