import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, the longest first: begun last, one of them would be waited for while a core has nothing to do. */
const LONG = [
  ...['e2e/combinations', 'e2e/names', 'integration/moves', 'contract/engine-epoll', 'e2e/shutdown'],
  ...['e2e/examples', 'integration/cli', 'e2e/tls', 'e2e/session-emqx', 'e2e/demo'],
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
