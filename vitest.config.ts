import { defineConfig } from 'vitest/config';

/** Pure code under test shares its modules: loading them anew for each file took longer than the tests. */
const pure = ['test/unit/*.test.ts', 'test/unit/!(server)/**/*.test.ts', 'test/fuzz/*.test.ts'];

/** Steps are counted in code that was compiled for it. */
const counted = 'test/cost/*.test.ts';

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
    retry: process.env.CI ? 1 : 0, // a shared machine that stalls for a second is no defect of ours
    projects: [
      { extends: true, test: { name: 'pure', include: pure, pool: 'threads', isolate: false } },
      // A process for each file: some count its descriptors, or its memory. They run the built program.
      {
        extends: true,
        test: {
          ...{ name: 'live', include: ['test/**/*.test.ts'], exclude: [...pure, counted], pool: 'forks' },
          globalSetup: ['test/support/build.ts'],
        },
      },
      {
        extends: true,
        test: { name: 'cost', include: [counted], setupFiles: ['test/support/steps.ts'], pool: 'forks' },
      },
    ],
  },
});
