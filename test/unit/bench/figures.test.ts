import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  type Figured,
  readFigures,
  without,
  withSample,
  withTrouble,
  writeFigures,
} from '../../../bench/figures.ts';

const empty: Figured = { machine: ['Linux 6.1'], measures: {} };
const sampled = (figured: Figured, measure: string, contender: string, cost: number, minute = 0) =>
  withSample(figured, {
    ...{ measure, contender, figures: { cost }, commit: 'abc', wasDisturbed: minute > 0 },
    at: new Date(Date.UTC(2026, 0, 1, 12, minute)),
  });

test('samples of a contender are kept in their order, with the time of the first and the last', () => {
  const figured = sampled(sampled(sampled(empty, 'echo', 'a', 1), 'echo', 'b', 2), 'echo', 'a', 3, 7);
  expect(figured.measures.echo).toEqual({
    ...{ from: '2026-01-01T12:00:00.000Z', to: '2026-01-01T12:07:00.000Z', commits: ['abc'] },
    ...{ samples: { a: [{ cost: 1 }, { cost: 3 }], b: [{ cost: 2 }] }, disturbed: 1, troubles: [] },
  });
});

test('a trouble is told once, and stands beside the samples', () => {
  const at = new Date(0);
  const once = withTrouble(sampled(empty, 'echo', 'a', 1), 'echo', 'b does not start', at);
  const twice = withTrouble(once, 'echo', 'b does not start', at);
  expect(twice.measures.echo?.troubles).toEqual(['b does not start']);
  expect(twice.measures.echo?.samples).toEqual({ a: [{ cost: 1 }] });
});

test('measures that are measured anew are taken out, the others stay', () => {
  const figured = sampled(sampled(empty, 'echo', 'a', 1), 'fanIn', 'a', 2);
  expect(Object.keys(without(figured, ['echo']).measures)).toEqual(['fanIn']);
});

test('figures of another machine are not read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-figures-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'figures.json');
  const figured = sampled(empty, 'echo', 'a', 1);
  writeFigures(file, figured);
  expect(readFigures(file, ['Linux 6.1'])).toEqual(figured);
  expect(() => readFigures(file, ['Linux 6.2'])).toThrow('"Linux 6.2"');
});
