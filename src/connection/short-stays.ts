/**
 * Slows down a session that nodes accept and end again at once, be it the fault of the nodes or of the device. Else it would be
 * asked for some ten times a second, for ever. Pure: times are handed in, in milliseconds.
 */

import { type MigrationResult, plannedCauses } from './connection-host.ts';

/** A node that has kept the session for so long has taken it. */
const SETTLED_MS = 10_000;
/** After so few short stays the next node is asked without delay: that one node stops, and then another, is no loop. */
const FREE_STAYS = 2;
/** After so many it is in vain. */
const MOST_STAYS = 9;
/** Doubled with each stay, with jitter. */
const DELAY_MS = 250;
const DELAY_MAX_MS = 5_000;

/** How many of the last nodes, in a row, ended the session soon after they had accepted it. */
function shortStays(history: readonly MigrationResult[], nowMs: number): number {
  let stays = 0;
  let leftAtMs = nowMs;
  for (const { cause, to, atMs, durationMs } of history.toReversed()) {
    if (to === undefined) continue; // it stayed where it was
    if (plannedCauses.has(cause) || leftAtMs - atMs >= SETTLED_MS) break;
    stays++;
    leftAtMs = atMs - durationMs;
  }
  return stays;
}

/** @param history of the session's moves, newest last @param random in [0, 1) */
export function moveDelayMs(history: readonly MigrationResult[], nowMs: number, random: number): number {
  const stays = shortStays(history, nowMs);
  if (stays < FREE_STAYS) return 0;
  return Math.min(DELAY_MAX_MS, DELAY_MS * 2 ** (stays - FREE_STAYS)) * (0.5 + random / 2);
}

/** Is another move no use? Then the word of the last node is for the device. */
export function isInVain(history: readonly MigrationResult[], nowMs: number): boolean {
  return shortStays(history, nowMs) >= MOST_STAYS;
}
