import type { LivingProxy } from './store/store.ts';

/** Those that take devices: they live, and neither drain nor start nor stop. */
export function takingProxies(proxies: readonly LivingProxy[]): readonly LivingProxy[] {
  return proxies.filter(({ state = 'enabled' }) => state === 'enabled');
}
