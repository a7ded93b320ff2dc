import type { Figures } from './load/measures.ts';

/** Medians of what was measured in several rounds. */

export function median(runs: readonly Figures[] | undefined, figure: string): number {
  return quantile(valuesOf(runs, figure), 0.5);
}

/** In ascending order; NaN where a run does not have it. */
export function valuesOf(runs: readonly Figures[] | undefined, figure: string): number[] {
  return (runs ?? []).map((run) => run[figure] ?? Number.NaN).sort((a, b) => a - b);
}

/** Between two values where the share lies between them. */
export function quantile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] as number;
  return low + ((sorted[Math.ceil(at)] as number) - low) * (at % 1);
}
