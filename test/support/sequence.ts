import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, the longest first: begun last, one of them would be waited for while a core has nothing to do. */
const LONG = [
  ...['e2e/upgrade-kill', 'e2e/session-emqx', 'e2e/proxy-drain', 'e2e/demo', 'e2e/names', 'e2e/cluster'],
  ...['e2e/upgrade', 'integration/dashboard', 'e2e/redis-away', 'integration/proxy-protocol-out'],
  ...['integration/agent', 'contract/engine-uring-small', 'integration/persistence', 'e2e/shared-keys'],
  ...['e2e/session-planned', 'e2e/combinations'],
];

/** In a clean clone vitest knows no durations, and would go by the sizes of files. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const index = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return index < 0 ? LONG.length : index;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}
