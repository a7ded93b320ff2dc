import { expect, test } from 'vitest';
import type { Samples } from '../../../bench/figures.ts';
import { verdict } from '../../../bench/goals.ts';
import { plots } from '../../../bench/plots.ts';
import { measureTable } from '../../../bench/report.ts';
import { median, quantile } from '../../../bench/statistics.ts';

const measured = {
  ...{ from: '2026-01-01T12:00:00.000Z', to: '2026-01-01T12:07:00.000Z', commits: ['abc', 'def'] },
  samples: {
    direct: [{ cpuUsPerMessage: 0 }],
    haproxy: [9, 7, 8].map((cpuUsPerMessage) => ({ cpuUsPerMessage })),
  },
  ...{ disturbed: 2, troubles: ['nginx does not start'] },
};

test('a table has medians and extremes, and says when and at which commits it was measured', () => {
  const text = measureTable({ title: 'Messages' }, measured);
  expect(text).toContain('| haproxy | 8.0 (7.0–9.0) |');
  expect(text).toContain('| direct |  |'); // there is no proxy whose CPU could count
  expect(text).toContain('Measured 2026-01-01 from 12:00 to 12:07 UTC at abc and def, rounds: 1 to 3.');
  expect(text).toContain('2 of 4 samples began while other programs used the machine.');
  expect(text).toContain('Missing: nginx does not start.');
});

test('what was not measured is said', () => {
  expect(measureTable({ title: 'Messages' }, undefined)).toContain('Not measured.');
});

test('a figure that one of the runs does not have is left out', () => {
  const samples: Samples = { haproxy: [{ cpuUsPerMessage: 9 }, {}] };
  expect(measureTable({ title: 'Messages' }, { ...measured, samples })).toContain('| haproxy |  |');
});

test('a step is its own heading', () => {
  const samples = { haproxy: [{ at5000: 9 }] };
  expect(measureTable({ title: 'Growth' }, { ...measured, samples })).toContain('| | 5,000 |');
});

test.each([
  [{ atLeast: 0.8, aim: 0.6 }, 0.5, '0.50 aim met'],
  [{ atLeast: 0.8, aim: 0.6 }, 0.8, '0.80 met'],
  [{ atLeast: 0.8, aim: 0.6 }, 0.9, '**0.90 not met**'],
  [{ atLeast: 1.2, aim: 1.4, moreIsBetter: true }, 1.3, '1.30 met'],
  [{ atLeast: 1.2, aim: 1.4, moreIsBetter: true }, 1.1, '**1.10 not met**'],
  [{ atLeast: 1, aim: 1 }, Number.NaN, ''],
])('of the goal %j, %d is "%s"', (goal, value, text) => {
  expect(verdict(goal, value)).toBe(text);
});

test('a quantile lies between two values where its share does', () => {
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
  expect(quantile([], 0.5)).toBeNaN();
  expect(median([{ a: 3 }, { a: 1 }, { a: 2 }], 'a')).toBe(2);
  expect(median(undefined, 'a')).toBeNaN();
});

test('there is a plot of what was measured, and none of what was not', () => {
  const byRate = {
    ...measured,
    samples: {
      nginx: [
        { at100: 1, at200: 3 },
        { at100: 2, at200: 4 },
      ],
    },
  };
  const [plot, ...more] = plots({ machine: [], measures: { byRate } });
  expect(more).toEqual([]);
  expect(plot?.file).toBe('images/cost-by-rate.svg');
  expect(plot?.text.match(/<circle/g)).toHaveLength(2);
});
