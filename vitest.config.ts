import { randomInt } from 'node:crypto';
import { defineConfig } from 'vitest/config';
import { Report } from './test/support/report.ts';
import { LongestFirst } from './test/support/sequence.ts';
import { measureSlowness, patience, SLOWNESS } from './test/support/wait.ts';

/** Pure code under test shares its modules: loading them anew for each file took longer than the tests. */
const pure = ['test/unit/**/*.test.ts', 'test/fuzz/*.test.ts'];

/** Steps are counted in code that was compiled for it. */
const counted = 'test/cost/*.test.ts';

// For all test processes.
process.env[SLOWNESS] ??= String(measureSlowness());
process.env.FAST_CHECK_SEED ??= String(randomInt(2 ** 31));

export default defineConfig({
  test: {
    testTimeout: patience(60_000),
    hookTimeout: patience(60_000),
    reporters: ['default', new Report()],
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          ...{ name: 'pure', include: pure, pool: 'threads', isolate: false },
          // A test whose expectations are never reached fails. Those of real servers may wait for a condition instead.
          expect: { requireAssertions: true },
          setupFiles: ['test/support/end.ts', 'test/support/seed.ts'],
        },
      },
      // A process for each file: some count its descriptors, or its memory. They run the built program.
      {
        extends: true,
        test: {
          ...{ name: 'live', include: ['test/**/*.test.ts'], exclude: [...pure, counted], pool: 'forks' },
          globalSetup: ['test/support/build.ts'],
          setupFiles: ['test/support/cpu-time.ts', 'test/support/end.ts'],
          // They wait more than they work, so there are more of them than cores, after all others.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          // A shared machine that stalls for a second is no defect of ours; the report names who needed it.
          retry: process.env.CI ? 1 : 0,
        },
      },
      {
        extends: true,
        test: {
          ...{ name: 'cost', include: [counted], pool: 'forks' },
          setupFiles: ['test/support/steps.ts'],
        },
      },
    ],
  },
});
