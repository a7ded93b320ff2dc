import type { Config } from '../config/config.ts';
import { checkTransparent, type EngineName } from '../engine/create.ts';

/** What pools ask of this machine. @throws BreakwaterError TRANSPARENT_UNAVAILABLE */
export function checkPools({ pools }: Pick<Config, 'pools'>, engine: EngineName): void {
  const pool = pools.find(({ upstream }) => upstream.transparent);
  if (pool !== undefined) checkTransparent(engine, pool.name);
}
