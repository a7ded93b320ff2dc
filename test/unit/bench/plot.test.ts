import { expect, test } from 'vitest';
import { apart, draw, niceStep } from '../../../bench/plot.ts';

const points = (...values: number[]) => values.map((y, i) => ({ x: 100 * 10 ** i, y }));

test('every line has its points and its name, and every step its label', () => {
  const lines = [
    { name: 'haproxy', points: points(8, 9, 10) },
    { name: 'nginx', points: points(7, 8, 9) },
  ];
  const svg = draw({ title: 'Cost', xLabel: 'connections', yLabel: 'µs', isLogarithmic: true, lines });

  expect(svg.match(/<polyline/g)).toHaveLength(2);
  expect(svg.match(/<circle/g)).toHaveLength(6);
  for (const text of ['haproxy', 'nginx', '100', '1,000', '10,000', 'connections', 'µs'])
    expect(svg).toContain(`>${text}</text>`);
});

test('a logarithmic axis puts equal factors at equal distances, a linear one equal differences', () => {
  const xOf = (isLogarithmic: boolean): number[] => {
    const svg = draw({
      title: '',
      xLabel: '',
      yLabel: '',
      isLogarithmic,
      lines: [{ name: 'a', points: points(1, 1, 1) }],
    });
    return [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map(([, x]) => Number(x));
  };
  const [low = 0, middle = 0, high = 0] = xOf(true);
  expect(middle - low).toBeCloseTo(high - middle, 0);
  const [first = 0, second = 0, third = 0] = xOf(false);
  expect((third - second) / (second - first)).toBeCloseTo(10, 0);
});

test('what is more is drawn higher, and nothing above the highest level', () => {
  const svg = draw({ title: '', xLabel: '', yLabel: '', lines: [{ name: 'a', points: points(1, 9.7, 5) }] });
  const [one = 0, most = 0, five = 0] = [...svg.matchAll(/cy="([\d.]+)"/g)].map(([, y]) => Number(y));
  const levels = [...svg.matchAll(/<path d="M\d+ ([\d.]+)H/g)].map(([, y]) => Number(y));

  expect(most).toBeLessThan(five);
  expect(five).toBeLessThan(one);
  expect(Math.min(...levels)).toBeLessThanOrEqual(most);
});

test('names are escaped', () => {
  const svg = draw({ title: 'a < b', xLabel: '', yLabel: '', lines: [{ name: 'c & d', points: points(1) }] });
  expect(svg).toContain('a &lt; b');
  expect(svg).toContain('c &amp; d');
});

test.each([
  [0.3, 0.5],
  [1, 1],
  [1.7, 2],
  [23, 50],
  [60, 100],
])('a step of at least %d is %d', (least, step) => {
  expect(niceStep(least)).toBeCloseTo(step);
});

test('names of lines that end close together stand below each other, in their order', () => {
  expect(apart([100, 20, 102, 103], 18)).toEqual([100, 20, 118, 136]);
  expect(apart([20, 60], 18)).toEqual([20, 60]);
});
