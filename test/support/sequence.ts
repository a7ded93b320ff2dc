import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, the longest first: begun last, one of them would be waited for while a core has nothing to do. */
const LONG = [
  ...['e2e/combinations', 'contract/engine-uring-small', 'e2e/names', 'integration/moves'],
  ...['e2e/session-emqx', 'e2e/shutdown', 'integration/cli', 'e2e/demo', 'integration/dashboard'],
  ...[
    'contract/engine-node',
    'e2e/cluster',
    'e2e/config-checks',
    'contract/engine-epoll',
    'integration/dashboard-views',
  ],
  ...['integration/agent', 'e2e/examples', 'e2e/slow-device', 'e2e/tls', 'contract/engine-uring'],
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
