import type { Config, PoolConfig } from './config.ts';

/** The configuration that holds. It is asked for at the moment of use and never kept, because a reload replaces it. */
export interface CurrentConfig {
  readonly config: Config;
}

export class ConfigHolder implements CurrentConfig {
  private now: Config;
  private former: Config | undefined;

  constructor(config: Config) {
    this.now = config;
  }

  get config(): Config {
    return this.now;
  }

  set config(next: Config) {
    this.former = this.now;
    this.now = next;
  }

  /** Of the configuration that holds; of a pool that it has not any more, as it was: its nodes leave last. */
  poolNamed(name: string): PoolConfig {
    const known = [this.now, this.former].flatMap((config) => config?.pools ?? []);
    return known.find((pool) => pool.name === name) as PoolConfig;
  }
}
