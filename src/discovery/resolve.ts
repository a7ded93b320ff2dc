import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { BreakwaterError } from '../errors.ts';

/** Host name to IP literal, as the system resolves it (hosts file included). @throws BreakwaterError NAME_UNRESOLVED */
export async function resolveHost(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new BreakwaterError('NAME_UNRESOLVED', `${host} does not resolve (${code})`, { cause: error });
  }
}
