import { MAX_NODES } from '../nodes/node.ts';

/** New devices come in bursts even when nothing is wrong: so much of a node's pace may be used at once. */
const BURST_MS = 100;

/** Gives new devices their turns at each node, so that a node that is up again is not stormed. */
export function createTurnScheduler(now: () => number) {
  /** When the next turn at a slot begins. */
  const nextAtMs = new Float64Array(MAX_NODES);
  return {
    /** How long a new device waits for its turn, in ms; undefined when so many wait already. */
    queue(slot: number, ratePerSecond: number, maxWaiting: number): number | undefined {
      const nowMs = now();
      const at = Math.max(nowMs - BURST_MS, nextAtMs[slot] ?? 0);
      const waitMs = Math.max(0, at - nowMs);
      if ((waitMs * ratePerSecond) / 1000 > maxWaiting) return undefined;
      nextAtMs[slot] = at + 1000 / ratePerSecond;
      return waitMs;
    },
  };
}

export type TurnScheduler = ReturnType<typeof createTurnScheduler>;
