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
export class Discovered {
  private readonly options: DiscoveredOptions;
  private sources: readonly Source[] = [];

  constructor(options: DiscoveredOptions) {
    this.options = options;
  }

  nodes(): DiscoveredNode[] {
    return this.sources.flatMap(({ found }) => found);
  }

  /** These are followed from now on; one that was there before goes on with what it has found. */
  follow(pools: readonly Pick<PoolConfig, 'name' | 'discovery'>[]): void {
    const before = this.sources;
    this.sources = pools.flatMap(({ name, discovery }) =>
      discovery.map((config) => {
        const known = before.find(({ pool, ...source }) => {
          return pool === name && isDeepStrictEqual(source.config, config);
        });
        return known ?? this.begin(config, name);
      }),
    );
    for (const source of before) if (!this.sources.includes(source)) source.discovery.stop();
  }

  stop(): void {
    for (const { discovery } of this.sources) discovery.stop();
  }

  private begin(config: DiscoveryConfig, pool: string): Source {
    const { onChange, onFault } = this.options;
    const source: Source = { pool, config, discovery: createDiscovery(config, pool), found: [] };
    source.discovery.start((found) => {
      source.found = found;
      onChange();
    }, onFault);
    return source;
  }
}
