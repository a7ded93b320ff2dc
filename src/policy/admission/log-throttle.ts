import type { Clock } from '../../base/time.ts';

/** How often one kind of event is logged: a log that anybody who connects can fill helps nobody. */
const TOLD_AGAIN_MS = 10_000;
/** More kinds than this share one count. */
const MAX_KINDS = 1_000;

interface Burst {
  toldAtMs: number;
  /** Events since the last one that was logged. */
  untold: number;
}

/** Decides whether an event is logged: the first of its kind, and then one every ten seconds. */
export function createLogThrottle(clock: Clock) {
  const bursts = new Map<string, Burst>();

  /**
   * How many were left out before this one, if it is to be logged; else undefined. @param count it stands for so
   * many
   */
  return (kind: string, count = 1): number | undefined => {
    const key = bursts.has(kind) || bursts.size < MAX_KINDS ? kind : '';
    const burst = bursts.get(key);
    const nowMs = clock.now();
    if (burst !== undefined && nowMs - burst.toldAtMs < TOLD_AGAIN_MS) {
      burst.untold += count;
      return undefined;
    }
    bursts.set(key, { toldAtMs: nowMs, untold: 0 });
    return (burst?.untold ?? 0) + count - 1;
  };
}
