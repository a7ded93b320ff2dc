import type { z } from 'zod';
import { BreakwaterError } from './errors.ts';

/**
 * Reads what another process has handed over. Says where it is wrong, and never what is there: it may be a secret.
 * @param what it is, with its article
 * @throws BreakwaterError HANDOVER_INVALID, which names the field
 */
export function readHanded<T>(schema: Pick<z.ZodType<T>, 'safeParse'>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [{ path, code } = { path: [], code: 'unknown' }] = result.error.issues;
  const field = path.length === 0 ? 'its top' : `'${path.map(String).join('.').slice(0, 200)}'`;
  throw new BreakwaterError(
    'HANDOVER_INVALID',
    `${what} of another process cannot be understood at ${field} (${code})`,
  );
}
