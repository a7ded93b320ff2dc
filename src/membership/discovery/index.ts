import type { DiscoveryConfig } from '../../config/config.ts';
import type { Discovery } from './discovery.ts';
import { dnsDiscovery } from './dns.ts';
import { emqxDiscovery } from './emqx.ts';

/** @param pool where the nodes belong */
export function createDiscovery(config: DiscoveryConfig, pool: string): Discovery {
  return config.kind === 'dns' ? dnsDiscovery(config, pool) : emqxDiscovery(config, pool);
}
