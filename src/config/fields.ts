import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { patternProblem } from '../policy/routing/pattern.ts';
import { parseAddress } from './address.ts';

/** The kinds of value that the schema is made of. Each says in one sentence what it must be, and what it was. */

interface Quantity {
  readonly min: number;
  readonly max: number;
  readonly default: number;
  readonly unit: string;
  /** What it is, and why the default is what it is. */
  readonly about: string;
}

/** A whole number within bounds. */
export function count(quantity: Quantity) {
  return bounded(z.int({ error: outOf(quantity, 'a whole number') }), quantity, 'a whole number');
}

/** The same where nothing is given when it is absent, because something else then holds. */
export function optionalCount(quantity: Omit<Quantity, 'default'>) {
  const error = outOf(quantity, 'a whole number');
  const { min, max, unit, about } = quantity;
  return z
    .int({ error })
    .min(min, { error })
    .max(max, { error })
    .optional()
    .meta({ description: about, unit });
}

/** A time in seconds within bounds; fractions are allowed. */
export function seconds(quantity: Omit<Quantity, 'unit'>) {
  const full = { ...quantity, unit: 'seconds' };
  return bounded(z.number({ error: outOf(full, 'a number') }), full, 'a number');
}

function bounded(base: z.ZodNumber, quantity: Quantity, what: string) {
  const error = outOf(quantity, what);
  return base
    .min(quantity.min, { error })
    .max(quantity.max, { error })
    .default(quantity.default)
    .meta({ description: quantity.about, unit: quantity.unit });
}

function outOf({ min, max, unit }: Omit<Quantity, 'default'>, what: string) {
  return (issue: { readonly input?: unknown }) =>
    `must be ${what} from ${min} to ${max} (${unit}), not ${show(issue.input)}`;
}

/** One of a few words. `later` are words of the design that this version does not know yet. */
export function choice<const Words extends readonly [string, ...string[]]>(
  words: Words,
  later: readonly string[] = [],
) {
  return z.enum(words, {
    error: ({ input }) =>
      later.includes(String(input))
        ? `'${input}' is not supported yet; use ${list(words)}`
        : `must be ${list(words)}, not ${show(input)}`,
  });
}

/** `scheme://host[:port]` with one of `schemes`. `parse` throws what is wrong with the rest. */
export function address(
  schemes: readonly string[],
  later: readonly string[],
  parse: (text: string) => unknown = parseAddress,
) {
  return text().check((ctx) => {
    const problem = schemeProblem(ctx.value, schemes, later) ?? parseProblem(ctx.value, parse);
    if (problem !== undefined) ctx.issues.push({ code: 'custom', input: ctx.value, message: problem });
  });
}

function schemeProblem(
  value: string,
  schemes: readonly string[],
  later: readonly string[],
): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(value)?.[1]?.toLowerCase();
  if (scheme === undefined || schemes.includes(scheme)) return undefined;
  return `scheme '${scheme}' is ${later.includes(scheme) ? 'not supported yet' : 'unknown'}; use ${list(schemes)}`;
}

function parseProblem(value: string, parse: (text: string) => unknown): string | undefined {
  try {
    parse(value);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** The source of a regular expression in the syntax of RE2; bounded, because each connection pays for it. */
export function pattern() {
  return text(1024).check((ctx) => {
    const problem = patternProblem(ctx.value);
    if (problem !== undefined) ctx.issues.push({ code: 'custom', input: ctx.value, message: problem });
  });
}

/** An address or a CIDR block, of IPv4 or IPv6. */
export function network() {
  return z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
    error: ({ input }) => `must be an IP address or a CIDR block such as 10.1.0.0/16, not ${show(input)}`,
  });
}

/** One address of IPv4 or IPv6. */
export function ipAddress() {
  return z.union([z.ipv4(), z.ipv6()], {
    error: ({ input }) => `must be an IP address such as 10.0.0.7, not ${show(input)}`,
  });
}

/** A name that appears in commands, logs and metrics: no spaces, nothing to quote. */
export function name() {
  const error = ({ input }: { readonly input?: unknown }) =>
    `must be 1 to 64 letters, digits or ._:@- and begin with a letter, digit or ':', not ${show(input)}`;
  return z.string({ error }).regex(/^[A-Za-z0-9:][A-Za-z0-9._:@-]{0,63}$/, { error });
}

/** `host` or `host:port`, as devices may be told it (Server Reference, MQTT 5.0 clause 4.13). */
export function serverReference() {
  const error = ({ input }: { readonly input?: unknown }) =>
    `must be host or host:port as devices know it, such as edge-2.example.com:8883, not ${show(input)}`;
  const shape = /^([A-Za-z0-9]([A-Za-z0-9.-]{0,98}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(:[1-9]\d{0,4})?$/;
  return z.string({ error }).regex(shape, { error });
}

/** Text of 1 to `max` characters. */
export function text(max = 2048) {
  const error = ({ input }: { readonly input?: unknown }) =>
    input === undefined ? 'is required' : `must be text of 1 to ${max} characters`;
  return z.string({ error }).min(1, { error }).max(max, { error });
}

/** `a, b or c` */
export function list(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function show(input: unknown): string {
  if (typeof input === 'string') return `'${input.slice(0, 80)}'`;
  if (input === undefined) return 'missing';
  if (input === null) return 'empty';
  return typeof input === 'object' ? (Array.isArray(input) ? 'a list' : 'a mapping') : String(input);
}
