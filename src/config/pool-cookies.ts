import { type CookiePersistence, createCookiePersistence } from '../policy/cookie-affinity/cookie.ts';
import type { PersistenceConfig } from './persistence.ts';

/**
 * Stickiness by cookie, of a pool whose key has been filled in; undefined where the pool has none. Apart from the schema,
 * because each data thread needs it, and none of them reads a configuration.
 */
export function cookiesOf(persistence: PersistenceConfig): CookiePersistence | undefined {
  if (persistence.by !== 'cookie') return undefined;
  const { key } = persistence;
  if (key === undefined) throw new Error('persistence by cookie has no key');
  return createCookiePersistence({ ...persistence, key });
}
