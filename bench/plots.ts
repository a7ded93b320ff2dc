import type { Figured, Samples } from './figures.ts';
import { draw } from './plot.ts';
import { median } from './statistics.ts';

/** The plots of docs/benchmarks.md: how the cost grows with the work. */

const drawn = [
  {
    measure: 'byConnections',
    file: 'images/cost-by-connections.svg',
    title: 'CPU per message by the number of connections',
    xLabel: 'connections, 20,000 messages a second in all',
    isLogarithmic: true,
  },
  {
    measure: 'byRate',
    file: 'images/cost-by-rate.svg',
    title: 'CPU per message by the rate',
    xLabel: 'messages a second from 500 connections',
    isLogarithmic: false,
  },
];

/** Files below `docs/`, of what was measured. */
export function plots({ measures }: Figured): { readonly file: string; readonly text: string }[] {
  return drawn.flatMap(({ measure, file, ...labels }) => {
    const samples = measures[measure]?.samples ?? {};
    const lines = Object.entries(samples).map(([name, runs]) => ({ name, points: pointsOf(runs) }));
    if (lines.length === 0) return [];
    return [{ file, text: draw({ ...labels, yLabel: 'CPU µs per message', lines }) }];
  });
}

/** Of the figures `at100`, `at1000`, … */
function pointsOf(runs: Samples[string]) {
  return Object.keys(runs[0] ?? {}).map((figure) => ({
    x: Number(figure.slice(2)),
    y: median(runs, figure),
  }));
}
