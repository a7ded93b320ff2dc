/** Decides by the rules of the configuration which pool a device goes to, or why it is refused. */

import type { ConnackRefusal } from '../../protocol/mqtt/reason-codes.ts';
import {
  type Condition,
  compileWhen,
  type RuleInput,
  type Subject,
  subjectOf,
  type When,
} from './conditions.ts';
import { compileKey, type KeyTemplate } from './key.ts';

export type { RuleInput, When } from './conditions.ts';

/** Why a device is refused before any node is asked; each has its MQTT reason code. */
export const refusals = [
  ...['not-authorized', 'banned', 'server-unavailable', 'server-busy', 'quota-exceeded', 'rate-exceeded'],
  ...['use-another-server', 'server-moved'],
] as const satisfies readonly ConnackRefusal[];
export type Refusal = (typeof refusals)[number];

/** How connections are carried. */
type RouteMode = 'relay' | 'session';

/** What one device may send, a second; 0: as much as it likes. */
export interface RouteLimits {
  readonly messageRate?: number | undefined;
  readonly byteRate?: number | undefined;
}

/** A rule as it is written in the configuration: all conditions of `when` must hold; the first match decides. */
export interface ConnectRule {
  readonly when: When;
  /** Name of a pool; none: the listener's. */
  readonly pool?: string | undefined;
  /** What the pool's strategy hashes by. */
  readonly key?: KeyTemplate | undefined;
  /** Instead of the listener's. */
  readonly mode?: RouteMode | undefined;
  /** Of each device, instead of those of the configuration's `limits`. */
  readonly limits?: RouteLimits | undefined;
  /** Excludes all others. */
  readonly reject?: Refusal | undefined;
}

/** Where a device goes; whatever is undefined stays as the listener and the pool have it. */
export interface Route {
  readonly pool?: string | undefined;
  readonly key?: string | undefined;
  readonly mode?: RouteMode | undefined;
  readonly limits?: RouteLimits | undefined;
}

/** One value for one rule, unless it has a key. */
export type Decision = Route | { readonly reject: Refusal } | undefined;

interface CompiledRule {
  readonly conditions: readonly Condition[];
  readonly decide: (input: RuleInput) => Decision;
}

/**
 * Compiles once; `undefined` from the result means that no rule matched.
 * @throws Error for a pattern or network that the configuration's schema would have refused
 */
export function compileRules(rules: readonly ConnectRule[]): (input: RuleInput) => Decision {
  const compiled = rules.map(compileRule);
  if (compiled.length === 0) return () => undefined;
  return (input) => {
    const subject = subjectOf(input);
    return compiled.find(({ conditions }) => allHold(conditions, subject))?.decide(input);
  };
}

/** The verdict of one rule about a connection. */
export interface RuleVerdict {
  /** From 0, as in the configuration. */
  readonly index: number;
  readonly matches: boolean;
  /** The first that matches. */
  readonly decides: boolean;
  readonly conditions: readonly {
    readonly name: keyof When;
    readonly expected: string;
    /** Undefined where the connection has nothing of the kind, or it was not given. */
    readonly actual: string | undefined;
    readonly holds: boolean;
  }[];
}

/** Each rule's verdict, and why; and what comes of it all. */
export function explain(
  rules: readonly ConnectRule[],
  input: RuleInput,
): { readonly verdicts: readonly RuleVerdict[]; readonly decision: Decision } {
  const compiled = rules.map(compileRule);
  const subject = subjectOf(input);
  const first = compiled.findIndex(({ conditions }) => allHold(conditions, subject));
  const verdicts = compiled.map(({ conditions }, index): RuleVerdict => {
    const each = conditions.map(({ name, expected, actual, holds }) => {
      return { name, expected, actual: actual(input), holds: holds(subject) };
    });
    return { index, matches: each.every(({ holds }) => holds), decides: index === first, conditions: each };
  });
  return { verdicts, decision: compiled[first]?.decide(input) };
}

function allHold(conditions: readonly Condition[], subject: Subject): boolean {
  return conditions.every((condition) => condition.holds(subject));
}

function compileRule({ when, pool, key, mode, limits, reject }: ConnectRule): CompiledRule {
  const { conditions, patterns } = compileWhen(when);
  const decision = reject === undefined ? { pool, mode, limits } : { reject };
  if (key === undefined) return { conditions, decide: () => decision };
  const keyOf = compileKey(key, patterns);
  return { conditions, decide: (input) => ({ ...decision, key: keyOf(input) }) };
}
