import { isIP } from 'node:net';
import { BreakwaterError, messageOf } from '../../base/errors.ts';
import { fullUrl } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import { list } from '../../config/fields.ts';
import { networkRefusal } from '../../policy/admission/connection-limiter.ts';
import type { RuleInput } from '../../policy/routing/conditions.ts';
import { type Decision, explain, type RouteLimits, type RuleVerdict } from '../../policy/routing/rules.ts';

/** What the configuration would do with one connection, and why. */
interface Explanation {
  /** What was said of it; a listener is added where there is only one. */
  readonly connection: RuleInput;
  /** It is turned away before any rule is asked: the `reason` label of `connect_rejected_total`. */
  readonly refusedAtDoor: string | undefined;
  readonly rules: readonly RuleVerdict[];
  readonly outcome: Outcome;
}

type Outcome =
  | { readonly reject: string }
  | {
      readonly pool: string;
      readonly mode: string;
      /** Undefined: the strategy hashes what it always does. */
      readonly key: string | undefined;
      /** Of each device, where the rule says so; else those of the configuration's `limits`. */
      readonly limits: RouteLimits | undefined;
    };

type Reader = (value: string) => Partial<RuleInput>;

/** What may be said of a connection, in the words of a rule's `when`. */
const readers: Readonly<Record<string, Reader>> = {
  listener: (value) => ({ listener: fullUrl(value) }),
  source(value) {
    if (isIP(value) === 0) throw new Error(`must be an IP address, not '${value}'`);
    return { sourceAddress: value };
  },
  protocolVersion(value) {
    if (!/^[345]$/.test(value)) throw new Error(`must be 3, 4 or 5, not '${value}'`);
    return { protocolVersion: Number(value) as 3 | 4 | 5 };
  },
  cleanStart(value) {
    if (!/^(true|false)$/.test(value)) throw new Error(`must be true or false, not '${value}'`);
    return { cleanStart: value === 'true' };
  },
  clientId: (clientId) => ({ clientId }),
  username: (username) => ({ username }),
  clientCn: (clientCn) => ({ clientCn }),
  sni: (sni) => ({ sni }),
  host: (host) => ({ host }),
  path: (path) => ({ path }),
};

/** Reads `clientId=meter-7`, `source=10.1.2.3` and the like. @throws BreakwaterError USAGE */
export function readConnection(pairs: readonly string[]): RuleInput {
  const input: RuleInput = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = at < 0 ? pair : pair.slice(0, at);
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (at < 0 || read === undefined) {
      const known = list(Object.keys(readers));
      throw new BreakwaterError('USAGE', `--explain takes name=value, not '${pair}'; names are ${known}`);
    }
    try {
      Object.assign(input, read(pair.slice(at + 1)));
    } catch (error) {
      throw new BreakwaterError('USAGE', `--explain ${name} ${messageOf(error)}`);
    }
  }
  return input;
}

export function explainConnection({ listeners, rules, limits }: Config, said: RuleInput): Explanation {
  const only = listeners.length === 1 ? listeners[0]?.url : undefined;
  const connection = { listener: only, ...said };
  const { verdicts, decision } = explain(rules, connection);
  const from = listeners.find(({ url }) => url === connection.listener);
  return {
    connection,
    refusedAtDoor: networkRefusal(limits.limiter, connection.sourceAddress),
    rules: verdicts,
    outcome: outcomeOf(decision, from),
  };
}

function outcomeOf(decision: Decision, listener: Config['listeners'][number] | undefined): Outcome {
  if (decision !== undefined && 'reject' in decision) return { reject: decision.reject };
  return {
    pool: decision?.pool ?? listener?.pool ?? 'the listener’s',
    mode: decision?.mode ?? listener?.mode ?? 'the listener’s',
    key: decision?.key,
    limits: decision?.limits,
  };
}

/** For people: a line for each rule up to the one that decides, and what comes of it. */
export function explanationText({ refusedAtDoor, rules, outcome }: Explanation): string {
  if (refusedAtDoor !== undefined) return `refused before any rule is asked: ${refusedAtDoor}`;
  const decides = rules.findIndex((rule) => rule.decides);
  const asked = decides < 0 ? rules : rules.slice(0, decides + 1);
  const none = decides < 0 ? ['no rule matches'] : [];
  return [...asked.map(ruleText), ...none, `=> ${outcomeText(outcome)}`].join('\n');
}

function ruleText({ index, decides, conditions }: RuleVerdict): string {
  const texts = conditions
    .filter(({ holds }) => holds === decides)
    .map(({ name, expected, actual }) => {
      const is = actual === undefined ? `${name} is absent` : `${name} is '${actual}'`;
      return `${is}, ${decides ? 'as' : 'not'} ${expected}`;
    });
  return `rules[${index}] ${decides ? 'decides' : 'does not match'}: ${texts.join('; ')}`;
}

function outcomeText(outcome: Outcome): string {
  if ('reject' in outcome) return `rejected as ${outcome.reject}`;
  const { pool, mode, key, limits = {} } = outcome;
  const rates = Object.entries(limits).map(([name, value]) => `${name} ${value}`);
  const hashed = key === undefined ? [] : [`hashed by '${key}'`];
  return [`pool ${pool}`, `mode ${mode}`, ...hashed, ...rates].join(', ');
}
