import { availableParallelism, hostname } from 'node:os';
import { version } from '../base/version.ts';
import type { Config } from '../config/config.ts';

/** The identity of this proxy: what does not change while it runs. */
export interface Identity {
  readonly id: string;
  readonly version: string;
  readonly host: string;
  readonly engine: string;
  readonly threads: number;
  readonly startedAt: string;
}

export function identify(config: Pick<Config, 'proxy'>, engine: 'epoll' | 'node'): Identity {
  return {
    id: config.proxy.id ?? `${hostname()}-${process.pid}`,
    version: version(),
    host: hostname(),
    engine,
    threads: threadCount(config, engine),
    startedAt: new Date().toISOString(),
  };
}

/** One worker does for Node's own event loop; the epoll engine takes a thread a core. */
function threadCount({ proxy }: Pick<Config, 'proxy'>, engine: 'epoll' | 'node'): number {
  if (engine === 'node') return 1;
  return proxy.threads === 'auto' ? availableParallelism() : proxy.threads;
}
