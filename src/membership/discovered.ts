/** Runs the discoveries of all pools, and keeps what each has found last. */

import { isDeepStrictEqual } from 'node:util';
import type { DiscoveryConfig, PoolConfig } from '../config/config.ts';
import type { DiscoveredNode, Discovery } from './discovery/discovery.ts';
import { createDiscovery } from './discovery/index.ts';

interface DiscoveredOptions {
  readonly onChange: () => void;
  readonly onFault: (cause: string) => void;
}

interface Source {
  readonly pool: string;
  readonly config: DiscoveryConfig;
  readonly discovery: Discovery;
  found: readonly DiscoveredNode[];
}

/** What all discoveries of the configuration have found. */
export function createDiscovered({ onChange, onFault }: DiscoveredOptions) {
  let sources: readonly Source[] = [];

  function begin(config: DiscoveryConfig, pool: string): Source {
    const source: Source = { pool, config, discovery: createDiscovery(config, pool), found: [] };
    source.discovery.start((found) => {
      source.found = found;
      onChange();
    }, onFault);
    return source;
  }

  return {
    nodes: (): DiscoveredNode[] => sources.flatMap(({ found }) => found),
    /** These are followed from now on; one that was there before goes on with what it has found. */
    follow(pools: readonly Pick<PoolConfig, 'name' | 'discovery'>[]): void {
      const before = sources;
      sources = pools.flatMap(({ name, discovery }) =>
        discovery.map((config) => {
          const known = before.find(({ pool, ...source }) => {
            return pool === name && isDeepStrictEqual(source.config, config);
          });
          return known ?? begin(config, name);
        }),
      );
      for (const source of before) if (!sources.includes(source)) source.discovery.stop();
    },
    stop(): void {
      for (const { discovery } of sources) discovery.stop();
    },
  };
}
