import type { Reporter, TestCase, TestModule } from 'vitest/node';

type Told = Pick<TestCase, 'fullName' | 'diagnostic'> & {
  readonly module: Pick<TestModule, 'relativeModuleId'>;
};

/** Tests that passed, but not at their first try. */
export function flakyLines(tests: Iterable<Told>): string[] {
  const flaky = [...tests].filter((test) => test.diagnostic()?.flaky);
  return flaky.map(
    (test) =>
      `  ${test.module.relativeModuleId}: ${test.fullName} (tries: ${(test.diagnostic()?.retryCount ?? 0) + 1})`,
  );
}

/** Says at the end of a run what it took to come through it: the seed of random tests, and tests that failed at first. */
export class Report implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    console.log(`Seed of properties: ${process.env.FAST_CHECK_SEED} (FAST_CHECK_SEED gives it again)`);
    const lines = flakyLines(modules.flatMap((module) => [...module.children.allTests('passed')]));
    if (lines.length === 0) return;
    console.log(`Flaky, passed only when tried again (${lines.length}):\n${lines.join('\n')}`);
  }
}
