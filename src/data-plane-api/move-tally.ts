/** Adds up the answers of several workers or proxies to one order to move sessions. */

import type { MoveTally } from './messages.ts';

export const noMoves: MoveTally = { moving: 0, later: 0, stuck: 0, ended: 0, noNode: 0 };

/** What several listeners, threads or proxies answered, together. */
export function addTallies(tallies: readonly MoveTally[]): MoveTally {
  const sum = (pick: (tally: MoveTally) => number): number =>
    tallies.reduce((total, tally) => total + pick(tally), 0);
  return {
    moving: sum((tally) => tally.moving),
    later: sum((tally) => tally.later),
    stuck: sum((tally) => tally.stuck),
    ended: sum((tally) => tally.ended),
    noNode: sum((tally) => tally.noNode),
  };
}

/** The order has reached a device, whatever became of it. */
export function hasFound({ moving, later, stuck, ended, noNode }: MoveTally): boolean {
  return moving + later + stuck + ended + noNode > 0;
}
