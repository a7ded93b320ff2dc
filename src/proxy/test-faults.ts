import type { DataPlane } from '../data-plane/data-plane.ts';

/** Set for tests, and read nowhere else: to any value. */
const SWITCH = 'BREAKWATER_TEST_FAULTS';

/**
 * For tests only: where the environment says so, each SIGPWR ends the next thread, the data threads first and then that of
 * HTTP, with all that it carries and without a word, as a fault of ours would. It is started again as ever.
 */
export function injectFaults(threads: Pick<DataPlane, 'allAlive'>): void {
  if (process.env[SWITCH] === undefined) return;
  let turn = 0;
  process.on('SIGPWR', () => {
    const { allAlive } = threads;
    allAlive[turn++ % allAlive.length]?.end('ended by a test');
  });
}
