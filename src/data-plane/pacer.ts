import type { Random } from '../time.ts';
import { MAX_NODES } from './routing-table.ts';

/**
 * Every re-attach waits at least so long, at random: what ends a link may be a device that has come back elsewhere, and
 * word of that must have its time to arrive (rule 14).
 */
const JITTER_MS = { min: 20, spread: 40 };

/** Gives re-attachments their turns at each node, so that survivors are not stormed (rule 20). */
export function createPacer(now: () => number, random: Random) {
  /** When the next turn at a slot begins. */
  const nextAtMs = new Float64Array(MAX_NODES);
  return {
    /** How long to wait for a turn at this slot, in ms, at so many turns a second. */
    turn(slot: number, ratePerSecond: number): number {
      const nowMs = now();
      const at = Math.max(nowMs, nextAtMs[slot] ?? 0);
      nextAtMs[slot] = at + 1000 / ratePerSecond;
      return at - nowMs + JITTER_MS.min + random() * JITTER_MS.spread;
    },
  };
}

export type Pacer = ReturnType<typeof createPacer>;
