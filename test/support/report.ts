import type { Reporter, TestCase, TestModule } from 'vitest/node';

type Told = Pick<TestCase, 'fullName' | 'diagnostic' | 'result'> & {
  readonly module: Pick<TestModule, 'relativeModuleId'>;
};

/** Characters of what a failed try says: a difference between two reports may be long. */
const MOST_SAID = 2_000;

/** Tests that passed, but not at their first try, and why they failed before. */
export function flakyLines(tests: Iterable<Told>): string[] {
  const flaky = [...tests].filter((test) => test.diagnostic()?.flaky);
  return flaky.flatMap((test) => {
    const tries = (test.diagnostic()?.retryCount ?? 0) + 1;
    const failures = (test.result().errors ?? []).flatMap(({ message, diff = '' }) =>
      `${message}\n${diff}`.slice(0, MOST_SAID).trimEnd().split('\n'),
    );
    const name = `${test.module.relativeModuleId}: ${test.fullName} (tries: ${tries})`;
    return [`  ${name}`, ...failures.map((line) => `    ${line}`)];
  });
}

type Costly = Pick<TestModule, 'relativeModuleId' | 'meta'>;

const MOST_COSTLY = 10;

/** The test files that took the most CPU time, which is what decides how long all of them take; and what all took. */
export function costLines(modules: Iterable<Costly>): string[] {
  const costs = [...modules].map(
    (module) => [module.meta().cpuSeconds ?? 0, module.relativeModuleId] as const,
  );
  const total = costs.reduce((sum, [seconds]) => sum + seconds, 0);
  if (total === 0) return [];
  const most = costs.toSorted(([a], [b]) => b - a).slice(0, MOST_COSTLY);
  const line = (seconds: number, what: string) => `  ${seconds.toFixed(1).padStart(6)} ${what}`;
  return [...most.map(([seconds, file]) => line(seconds, file)), line(total, `all ${costs.length} files`)];
}

/**
 * Says at the end of a run what it took to come through it: the seed of random tests,
 * the CPU time, and tests that failed at first.
 */
export class Report implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    console.log(`Seed of properties: ${process.env.FAST_CHECK_SEED} (FAST_CHECK_SEED gives it again)`);
    const costs = costLines(modules.filter((module) => module.meta().cpuSeconds !== undefined));
    if (costs.length > 0) console.log(`CPU seconds, the most first:\n${costs.join('\n')}`);
    const lines = flakyLines(modules.flatMap((module) => [...module.children.allTests('passed')]));
    if (lines.length > 0) console.log(`Flaky, passed only when tried again:\n${lines.join('\n')}`);
  }
}
