import type { MoveTally } from './messages.ts';

/** What several listeners, threads or proxies answered, together. */
export function addTallies(tallies: readonly MoveTally[]): MoveTally {
  const sum = (pick: (tally: MoveTally) => number): number =>
    tallies.reduce((total, tally) => total + pick(tally), 0);
  return {
    moving: sum((tally) => tally.moving),
    later: sum((tally) => tally.later),
    stuck: sum((tally) => tally.stuck),
    noNode: sum((tally) => tally.noNode),
  };
}
