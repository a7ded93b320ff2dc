import { expect, test } from 'vitest';
import { flakyLines } from '../../support/report.ts';

const told = (fullName: string, retryCount: number, flaky: boolean) => ({
  ...{ fullName, module: { relativeModuleId: 'test/e2e/some.test.ts' } },
  diagnostic: () => ({
    slow: false,
    heap: undefined,
    duration: 1,
    startTime: 0,
    repeatCount: 0,
    retryCount,
    flaky,
  }),
});

test('a test that passed when it was tried again is named, with its file and its tries', () => {
  const tests = [told('passes', 0, false), told('passes at last', 1, true), told('fails twice', 1, false)];
  expect(flakyLines(tests)).toEqual(['  test/e2e/some.test.ts: passes at last (tries: 2)']);
  expect(flakyLines([])).toEqual([]);
});
