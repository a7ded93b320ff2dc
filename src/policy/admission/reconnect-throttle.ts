import { type IpSource, newIpWords, readIp } from '../../protocol/address/ip.ts';
import { hash32 } from '../balance/hash.ts';
import { createLevelSketch, sketchLength } from './sketch.ts';
import { sourceHash } from './source-hash.ts';

/** A device that connects over and over is made to wait before it is placed, longer each time. */

export interface ReconnectThrottleLimits {
  /** Connects in quick succession that cost nothing; 0: no device is held back. */
  readonly tolerated: number;
  /** One connect is forgotten in so many milliseconds. */
  readonly forgiveMs: number;
  /** The first delay; it doubles with every further connect. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

/** So many delayed devices can be kept apart (see `sketchLength`); 512 KiB, so that it stays in the cache. */
const DEVICES = 16_384;

/** What all threads share; `seed` is random, so that no client id can be chosen to share cells with another's. */
export interface ReconnectThrottleMemory {
  readonly seed: number;
  readonly levels: Float64Array;
}

/** @param known what an older process has kept: both have the clock of the machine */
export function createReconnectThrottleMemory(
  seed: number,
  known?: ReconnectThrottleMemory,
): ReconnectThrottleMemory {
  const levels = new Float64Array(new SharedArrayBuffer(sketchLength(DEVICES) * 8));
  if (known?.levels.length !== levels.length) return { seed, levels };
  levels.set(known.levels);
  return { seed: known.seed, levels };
}

/**
 * Says for how many milliseconds this connect is to be held back. `connects`: it counts as so many; with infinitely many
 * the next ones wait for the greatest delay.
 */
export type ReconnectThrottle = (
  clientId: string,
  source: IpSource,
  nowMs: number,
  connects?: number,
) => number;

/**
 * A device is its client id together with its source (an IPv4 address or IPv6 /64): so that nobody can hold back
 * another's device by using its id from elsewhere, before the broker has judged the password; and two devices that
 * throw each other out by one id from two places are both slowed down. Devices without an id are never held back.
 */
export function createReconnectThrottle(
  { seed, levels }: ReconnectThrottleMemory,
  limits: ReconnectThrottleLimits,
): ReconnectThrottle {
  const { tolerated, forgiveMs, firstDelayMs, maxDelayMs } = limits;
  const sketch = createLevelSketch(levels);
  const words = newIpWords();
  // Where the greatest delay is reached nothing more is added, so that its memory of the device ends in bounded time.
  const maxLevelMs = forgiveMs * (tolerated + 1 + Math.log2(Math.max(1, maxDelayMs / firstDelayMs)));
  return (clientId, source, nowMs, connects = 1) => {
    if (clientId === '' || tolerated === 0) return 0;
    const device = hash32(clientId, sourceHash(readIp(source, words), words, seed)) | 0;
    const levelMs = sketch.raise(device, forgiveMs * connects, maxLevelMs, nowMs);
    const excess = levelMs / forgiveMs - tolerated;
    return excess <= 0 ? 0 : Math.min(maxDelayMs, firstDelayMs * 2 ** (excess - 1));
  };
}
