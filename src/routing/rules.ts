import { BlockList, isIPv6 } from 'node:net';

/** Why a device is refused before any node is asked; each has its MQTT reason code. */
export type Refusal = 'not-authorized' | 'banned' | 'server-unavailable';

/** A rule as it is written in the configuration: all conditions of `when` must hold; the first match decides. */
export interface ConnectRule {
  readonly when: {
    /** Regular expression over the client id. */
    readonly clientId?: string | undefined;
    readonly username?: string | undefined;
    /** Address or CIDR network of the device. */
    readonly source?: string | undefined;
  };
  /** Name of a pool. Either this or `reject`. */
  readonly pool?: string | undefined;
  readonly reject?: Refusal | undefined;
}

/** What a rule may look at. */
export interface RuleInput {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly sourceAddress: string;
}

export type Decision = { readonly pool: string } | { readonly reject: Refusal } | undefined;

/** Compiles once; `undefined` from the result means that no rule matched. */
export function compileRules(rules: readonly ConnectRule[]): (input: RuleInput) => Decision {
  const compiled = rules.map((rule) => ({ matches: compileCondition(rule), decision: decisionOf(rule) }));
  return (input) => compiled.find((rule) => rule.matches(input))?.decision;
}

function decisionOf(rule: ConnectRule): Decision {
  if (rule.reject !== undefined) return { reject: rule.reject };
  return rule.pool === undefined ? undefined : { pool: rule.pool };
}

function compileCondition({ when }: ConnectRule): (input: RuleInput) => boolean {
  const clientId = when.clientId === undefined ? undefined : new RegExp(when.clientId, 'u');
  const username = when.username === undefined ? undefined : new RegExp(when.username, 'u');
  const source = when.source === undefined ? undefined : compileNetwork(when.source);
  return (input) =>
    (clientId === undefined || clientId.test(input.clientId)) &&
    (username === undefined || (input.username !== undefined && username.test(input.username))) &&
    (source === undefined || source(input.sourceAddress));
}

function compileNetwork(network: string): (address: string) => boolean {
  const [address = '', prefix] = network.split('/');
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  if (prefix === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(prefix), family);
  return (candidate) => list.check(candidate, isIPv6(candidate) ? 'ipv6' : 'ipv4');
}
