/** One timer for everything that changes with time alone. */

import type { Clock } from '../base/time.ts';

interface BeatParts {
  readonly clock: Clock;
  /** What is looked at, each time. */
  readonly look: () => void;
  /** How late the main thread came to it. */
  readonly delayed: (seconds: number) => void;
}

/**
 * How often everything is looked at that only time changes: shares of starting nodes, drained nodes, nodes that hang.
 * One beat for all of it, because each takes a core away from messages where cores are few.
 */
const BEAT_MS = 500;

/** Begins to beat; returns what ends it. */
export function startBeat({ clock, look, delayed }: BeatParts): () => void {
  let lastMs = clock.now();
  const beat = setInterval(() => {
    const nowMs = clock.now();
    delayed(Math.max(0, nowMs - lastMs - BEAT_MS) / 1000);
    lastMs = nowMs;
    look();
  }, BEAT_MS);
  return () => clearInterval(beat);
}
