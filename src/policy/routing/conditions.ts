import { type IpFamily, type IpWords, newIpWords, parseIp } from '../../protocol/address/ip.ts';
import { compileNetworks } from '../../protocol/address/networks.ts';
import { compilePattern, type Pattern } from './pattern.ts';

/** What a rule may look at. Whoever asks fills in what it knows: an opaque `tcp` listener knows no client id. */
export interface RuleInput {
  /** URL of the listener, as the configuration has it in its full form (`mqtt://0.0.0.0:1883`). */
  readonly listener?: string | undefined;
  readonly sourceAddress?: string | undefined;
  /** Server name that the device asked for in TLS. */
  readonly sni?: string | undefined;
  /** Common name of the device's verified certificate. */
  readonly clientCn?: string | undefined;
  readonly clientId?: string | undefined;
  readonly username?: string | undefined;
  readonly protocolVersion?: 3 | 4 | 5 | undefined;
  readonly cleanStart?: boolean | undefined;
  /** Host of a WebSocket or HTTP request, without its port. */
  readonly host?: string | undefined;
  /** Path of a WebSocket or HTTP request, without its query. */
  readonly path?: string | undefined;
}

type OneOrMore<T> = T | readonly T[];

/** Conditions as they are written: all that are there must hold. Of several values one must do. */
export interface When {
  readonly listener?: OneOrMore<string> | undefined;
  /** Addresses or CIDR networks. */
  readonly source?: OneOrMore<string> | undefined;
  readonly protocolVersion?: OneOrMore<3 | 4 | 5> | undefined;
  readonly cleanStart?: boolean | undefined;
  /** Patterns, in the syntax of RE2; these and those below. */
  readonly sni?: string | undefined;
  readonly clientCn?: string | undefined;
  readonly clientId?: string | undefined;
  readonly username?: string | undefined;
  readonly host?: string | undefined;
  readonly path?: string | undefined;
}

/** Conditions that are patterns, in the order in which their capture groups are numbered. */
export const patternFields = ['clientId', 'username', 'clientCn', 'sni', 'host', 'path'] as const;
export type PatternField = (typeof patternFields)[number];

/** One connection, asked about by many rules: its address is parsed once. */
export interface Subject {
  readonly input: RuleInput;
  readonly family: IpFamily | 0;
  readonly ip: IpWords;
}

export interface Condition {
  readonly name: keyof When;
  /** As written. */
  readonly expected: string;
  /** What the connection has; undefined: nothing, and then no condition on it holds. */
  actual(input: RuleInput): string | undefined;
  holds(subject: Subject): boolean;
}

const words = newIpWords();

/** Valid until the next call. */
export function subjectOf(input: RuleInput): Subject {
  return { input, family: parseIp(input.sourceAddress ?? '', words), ip: words };
}

/** Cheap conditions first. @throws Error that says what of a pattern or network is wrong */
export function compileWhen(when: When): { conditions: Condition[]; patterns: [PatternField, Pattern][] } {
  const conditions: Condition[] = [];
  const { protocolVersion, cleanStart, listener, source } = when;
  if (protocolVersion !== undefined)
    conditions.push(oneOf('protocolVersion', manyOf<number>(protocolVersion)));
  if (cleanStart !== undefined) conditions.push(oneOf('cleanStart', [cleanStart]));
  if (listener !== undefined) conditions.push(oneOf('listener', manyOf(listener)));
  if (source !== undefined) conditions.push(within(manyOf(source)));
  const patterns = patternFields.flatMap((name): [PatternField, Pattern][] => {
    const text = when[name];
    return text === undefined ? [] : [[name, compilePattern(text)]];
  });
  for (const [name, pattern] of patterns) conditions.push(matching(name, pattern));
  return { conditions, patterns };
}

function oneOf(
  name: 'protocolVersion' | 'cleanStart' | 'listener',
  values: readonly (string | number | boolean)[],
): Condition {
  return {
    name,
    expected: values.join(', '),
    actual: (input) => input[name]?.toString(),
    holds({ input }) {
      const value = input[name];
      return value !== undefined && values.includes(value);
    },
  };
}

function within(networks: readonly string[]): Condition {
  const set = compileNetworks(networks);
  return {
    name: 'source',
    expected: networks.join(', '),
    actual: (input) => input.sourceAddress,
    holds: ({ family, ip }) => set.hasIp(family, ip),
  };
}

function matching(name: PatternField, pattern: Pattern): Condition {
  return {
    name,
    expected: pattern.source,
    actual: (input) => input[name],
    holds({ input }) {
      const text = input[name];
      return text !== undefined && pattern.test(text);
    },
  };
}

function manyOf<T>(value: OneOrMore<T>): readonly T[] {
  return Array.isArray(value) ? value : [value as T];
}
