import type { Config } from './config.ts';

/** The configuration that holds. It is asked for at the moment of use and never kept, because a reload replaces it. */
export interface CurrentConfig {
  readonly config: Config;
}

export class ConfigHolder implements CurrentConfig {
  config: Config;

  constructor(config: Config) {
    this.config = config;
  }
}
