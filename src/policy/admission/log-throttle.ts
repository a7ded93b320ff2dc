import type { Clock } from '../../base/time.ts';

/** Of one kind of event, told of so often: a log that whoever connects can fill helps nobody. */
const TOLD_AGAIN_MS = 10_000;
/** Kinds beyond are not told apart. */
const MAX_KINDS = 1_000;

interface Burst {
  toldAtMs: number;
  /** Since it was told. */
  untold: number;
}

/** Whether an event is to be told of: the first of its kind, and then one every ten seconds. */
export function createLogThrottle(clock: Clock) {
  const bursts = new Map<string, Burst>();

  /** How many were left untold before this one, if it is to be told; else undefined. @param count it stands for so many */
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
