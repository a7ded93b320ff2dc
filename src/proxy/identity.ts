import { availableParallelism, hostname } from 'node:os';
import { z } from 'zod';
import { version } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import type { EngineName } from '../engine/engine.ts';

/** The identity of this proxy: what does not change while it runs. */
export interface Identity {
  readonly id: string;
  readonly version: string;
  readonly host: string;
  readonly engine: string;
  readonly threads: number;
  /** Of the first of its processes. */
  readonly startedAt: string;
  /** Which of its processes this is: 1, and one more with each upgrade. */
  readonly generation: number;
}

/** Of the process before this one, where it is upgraded. */
export const formerIdentity = z.object({
  id: z.string().min(1).max(256),
  startedAt: z.iso.datetime(),
  generation: z.int().min(1),
});
type FormerIdentity = z.output<typeof formerIdentity>;

export function identify(
  config: Pick<Config, 'proxy'>,
  engine: EngineName,
  former?: FormerIdentity,
): Identity {
  return {
    id: former?.id ?? config.proxy.id ?? `${hostname()}-${process.pid}`,
    version: version(),
    host: hostname(),
    engine,
    threads: threadCount(config, engine),
    startedAt: former?.startedAt ?? new Date().toISOString(),
    generation: (former?.generation ?? 0) + 1,
  };
}

/** One worker does for Node's own event loop; the engines for Linux take a thread a core. */
function threadCount({ proxy }: Pick<Config, 'proxy'>, engine: EngineName): number {
  return engine === 'node' ? 1 : threadsWanted(proxy);
}

/** Where the engine makes use of so many. */
export function threadsWanted({ threads }: Pick<Config['proxy'], 'threads'>): number {
  return threads === 'auto' ? availableParallelism() : threads;
}
