import type { Random } from '../base/time.ts';
import { MAX_NODES } from '../nodes/node.ts';

/**
 * Every re-attach waits at least so long, at random: what ends a link may be a device that has come back elsewhere, and
 * word of that must have its time to arrive (rule 14).
 */
const JITTER_MS = { min: 20, spread: 40 };

/** New devices come in bursts even when nothing is wrong: so much of a node's pace may be used at once. */
const BURST_MS = 100;

/**
 * Gives re-attachments their turns at each node, so that survivors are not stormed (rule 20), and new devices theirs,
 * so that a node that is up again is not. Each is one number a node: the moment of its next turn.
 */
export function createPacer(now: () => number, random: Random) {
  /** When the next turn at a slot begins. */
  const nextAtMs = new Float64Array(MAX_NODES);
  /** The same for new devices. */
  const nextNewAtMs = new Float64Array(MAX_NODES);
  return {
    /** How long to wait for a turn at this slot, in ms, at so many turns a second. */
    turn(slot: number, ratePerSecond: number): number {
      const nowMs = now();
      const at = Math.max(nowMs, nextAtMs[slot] ?? 0);
      nextAtMs[slot] = at + 1000 / ratePerSecond;
      return at - nowMs + JITTER_MS.min + random() * JITTER_MS.spread;
    },
    /** How long a new device waits for its turn, in ms; undefined when so many wait already. */
    queue(slot: number, ratePerSecond: number, maxWaiting: number): number | undefined {
      const nowMs = now();
      const at = Math.max(nowMs - BURST_MS, nextNewAtMs[slot] ?? 0);
      const waitMs = Math.max(0, at - nowMs);
      if ((waitMs * ratePerSecond) / 1000 > maxWaiting) return undefined;
      nextNewAtMs[slot] = at + 1000 / ratePerSecond;
      return waitMs;
    },
  };
}

export type Pacer = ReturnType<typeof createPacer>;
