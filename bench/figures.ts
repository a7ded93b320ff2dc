import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Figures } from './load/measures.ts';

/** What was measured so far, kept in a file after each sample: a run that is cut goes on where it was. */

/** What was measured, by contender, one entry a round. */
export type Samples = Readonly<Record<string, readonly Figures[]>>;

export interface Measured {
  /** Of the first and the last sample, ISO 8601. */
  readonly from: string;
  readonly to: string;
  /** Commits that were measured, mostly one. */
  readonly commits: readonly string[];
  readonly samples: Samples;
  /** Samples that began while other programs used the machine. */
  readonly disturbed: number;
  /** Why contenders did not take part, or what went wrong with a sample. */
  readonly troubles: readonly string[];
}

export interface Figured {
  /** What the figures depend on, one line each. */
  readonly machine: readonly string[];
  /** By the name of the measure. */
  readonly measures: Readonly<Record<string, Measured>>;
}

export interface Sample {
  readonly measure: string;
  readonly contender: string;
  readonly figures: Figures;
  readonly at: Date;
  readonly commit: string;
  readonly wasDisturbed: boolean;
}

const nothing: Omit<Measured, 'from' | 'to'> = { commits: [], samples: {}, disturbed: 0, troubles: [] };

export function withSample(figured: Figured, sample: Sample): Figured {
  const { contender, figures, commit } = sample;
  const at = sample.at.toISOString();
  const before: Measured = figured.measures[sample.measure] ?? { from: at, to: at, ...nothing };
  return withMeasured(figured, sample.measure, {
    ...before,
    to: at,
    commits: before.commits.includes(commit) ? before.commits : [...before.commits, commit],
    samples: { ...before.samples, [contender]: [...(before.samples[contender] ?? []), figures] },
    disturbed: before.disturbed + (sample.wasDisturbed ? 1 : 0),
  });
}

export function withTrouble(figured: Figured, measure: string, trouble: string, at: Date): Figured {
  const now = at.toISOString();
  const before: Measured = figured.measures[measure] ?? { from: now, to: now, ...nothing };
  if (before.troubles.includes(trouble)) return figured;
  return withMeasured(figured, measure, { ...before, troubles: [...before.troubles, trouble] });
}

/** Without these measures, which are measured anew. */
export function without(figured: Figured, measures: readonly string[]): Figured {
  const kept = Object.entries(figured.measures).filter(([name]) => !measures.includes(name));
  return { ...figured, measures: Object.fromEntries(kept) };
}

function withMeasured(figured: Figured, name: string, measured: Measured): Figured {
  return { ...figured, measures: { ...figured.measures, [name]: measured } };
}

/** @throws Error where the file is of another machine, or of other versions: its figures must not stand beside new ones */
export function readFigures(file: string, machine: readonly string[]): Figured {
  const read = JSON.parse(readFileSync(file, 'utf8')) as Figured;
  const other = machine.find((line, i) => line !== read.machine[i]);
  if (other === undefined) return read;
  throw new Error(`${file} was not measured on "${other}"; run the whole without --merge and --continue`);
}

export function writeFigures(file: string, figured: Figured): void {
  writeFileSync(`${file}.new`, JSON.stringify(figured));
  renameSync(`${file}.new`, file);
}
