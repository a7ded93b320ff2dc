import { expect, test } from 'vitest';
import { costLines, flakyLines } from '../../support/report.ts';

const told = (fullName: string, retryCount: number, flaky: boolean) => ({
  ...{ fullName, module: { relativeModuleId: 'test/e2e/some.test.ts' } },
  result: () => ({ state: 'passed' as const, errors: [{ message: 'expected 1\nto be 2' }] }),
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

test('a test that passed when it was tried again is named, with its file, its tries and why it failed', () => {
  const tests = [told('passes', 0, false), told('passes at last', 1, true), told('fails twice', 1, false)];
  expect(flakyLines(tests)).toEqual([
    '  test/e2e/some.test.ts: passes at last (tries: 2)',
    '    expected 1',
    '    to be 2',
  ]);
  expect(flakyLines([])).toEqual([]);
});

test('the files that took the most CPU time are named, and what all took', () => {
  const file = (name: string, cpuSeconds?: number) => ({
    relativeModuleId: name,
    meta: () => ({ cpuSeconds }),
  });
  const others = Array.from({ length: 10 }, (_, i) => file(`other-${i}.test.ts`, 1));
  const lines = costLines([file('cheap.test.ts', 0.5), ...others, file('dear.test.ts', 12)]);
  expect(lines.slice(0, 2)).toEqual(['    12.0 dear.test.ts', '     1.0 other-0.test.ts']);
  expect(lines.slice(9)).toEqual(['     1.0 other-8.test.ts', '    22.5 all 12 files']);
  expect(costLines([file('without.test.ts')])).toEqual([]);
});
