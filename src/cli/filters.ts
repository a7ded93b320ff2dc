import type { ErrorCode } from '../base/errors.ts';
import { BreakwaterError } from '../base/errors.ts';
import { didYouMean } from '../base/similar.ts';

/** Of thousands of nodes, a message names the first. */
const MAX_NAMES = 20;
const codes = { node: 'NODE_UNKNOWN', pool: 'POOL_UNKNOWN' } as const satisfies Record<string, ErrorCode>;

/**
 * A filter that finds nothing may be a slip of the finger.
 * @throws BreakwaterError NODE_UNKNOWN, POOL_UNKNOWN, with the names that exist
 */
export function requireKnown(what: keyof typeof codes, name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  const more = known.length > MAX_NAMES ? ` and ${known.length - MAX_NAMES} more` : '';
  const existing =
    known.length === 0
      ? `there are no ${what}s`
      : `${what}s are ${known.slice(0, MAX_NAMES).join(', ')}${more}`;
  throw new BreakwaterError(codes[what], `no ${what} "${name}"${didYouMean(name, known)}; ${existing}`);
}
