import { randomInt } from 'node:crypto';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { Report } from './test/support/report.ts';
import { LongestFirst } from './test/support/sequence.ts';
import { measureSlowness, patience, SLOWNESS } from './test/support/wait.ts';

/** Pure code under test shares its modules: loading them anew for each file took longer than the tests. */
const pure = ['test/unit/**/*.test.ts', 'test/fuzz/*.test.ts'];

/** Those that look at the descriptors or the memory of the process that they run in. */
const apart = [
  'test/contract/engine-{epoll,node,uring,uring-small}.test.ts',
  'test/contract/engine-{handover,tls}-{epoll,mixed,node,openssl,uring}.test.ts',
  'test/integration/{descriptor-socket,linux-*,node-engine,uring-random,uring-ring,worker-pool}.test.ts',
];

/** Tests with real servers and sockets. */
const live: TestProjectInlineConfiguration['test'] = {
  pool: 'forks',
  globalSetup: ['test/support/build.ts'],
  setupFiles: ['test/support/cpu-time.ts', 'test/support/end.ts'],
  // They wait more than they work, so there are more of them than cores.
  maxWorkers: 5,
  sequence: { groupOrder: 1 },
  // A shared machine that stalls for a second is no defect of ours; the report names who needed it.
  retry: process.env.CI ? 1 : 0,
};

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
      // They begin after all others. Most run the built program, in processes of their own.
      {
        extends: true,
        test: {
          ...live,
          name: 'live',
          include: ['test/{contract,e2e,integration}/**/*.test.ts'],
          exclude: apart,
          isolate: false,
        },
      },
      // A process for each file: some count its descriptors, or its memory.
      { extends: true, test: { ...live, name: 'apart', include: apart } },
      // A process for each file as well: they count steps, or memory that other files would give back meanwhile.
      {
        extends: true,
        test: {
          ...{ name: 'cost', include: ['test/cost/*.test.ts'], pool: 'forks' },
          setupFiles: ['test/support/steps.ts'],
        },
      },
    ],
  },
});
