import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import type { Figures } from './load/measures.ts';
import { calm, type RetryPolicy } from './machine.ts';
import { LOAD_CORE, type Measure, plan } from './plan.ts';
import { CannotRun, contenders, type Running, run } from './proxies.ts';
import { median, report, type Samples } from './report.ts';

/** Runs every measure against every contender, alternating, and writes docs/benchmarks.md. */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    measures: { type: 'string' },
    out: { type: 'string' },
    windowMs: { type: 'string', default: '1500' },
    patienceMs: { type: 'string', default: '120000' },
    json: { type: 'boolean', default: false },
  },
});

const SINK_PORT = 21_883;
const FIRST_PORT = 21_900;
const LOAD = resolve('dist/bench/load/main.js');
const LOAD_TIMEOUT_MS = 120_000;

const asked = (list: string | undefined): ReadonlySet<string> | undefined =>
  list === undefined ? undefined : new Set(list.split(','));
const only = asked(values.only);
const wanted = asked(values.measures);
const isWhole = only === undefined && wanted === undefined;
const patience: RetryPolicy = { leftMs: Number(values.patienceMs) };
const directory = mkdtempSync(join(tmpdir(), 'breakwater-bench-'));
/** Why contenders did not take part, by name. */
const skipped = new Map<string, string>();

/** Stand-ins measure an engine alone, and take part only when they are asked for. */
const takesPart = (name: string): boolean => only?.has(name) ?? !name.startsWith('engine-');

async function started(name: string): Promise<Running | undefined> {
  const contender = contenders.find((each) => each.name === name);
  if (contender === undefined || skipped.has(name)) return undefined;
  const proxy = FIRST_PORT + contenders.indexOf(contender);
  try {
    return await run(contender, { proxy, sink: SINK_PORT }, directory);
  } catch (error) {
    if (!(error instanceof CannotRun)) throw error;
    skipped.set(name, error.message);
    console.error(`skipped: ${error.message}`);
    return undefined;
  }
}

async function load({ load, settings }: Measure, contender: Running): Promise<Figures> {
  const at = (port: number) => ({ host: '127.0.0.1', port });
  const task = { ...settings, proxy: at(contender.port), sink: at(SINK_PORT), pids: contender.pids() };
  const command = ['-c', String(LOAD_CORE), process.execPath, LOAD, load, JSON.stringify(task)];
  const { stdout } = await promisify(execFile)('taskset', command, { timeout: LOAD_TIMEOUT_MS });
  return JSON.parse(stdout) as Figures;
}

/**
 * Every sample is of a new process: memory that is given back stays with its process, and so does the luck of the
 * compiler, which is worth some percent.
 */
async function samplesOf(measure: Measure): Promise<Samples> {
  const samples: Record<string, Figures[]> = {};
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const name of measure.contenders.filter(takesPart)) {
      const contender = await started(name);
      if (contender === undefined) continue;
      try {
        await calm(patience);
        samples[name] ??= [];
        samples[name].push(await load(measure, contender));
      } finally {
        await contender.stop();
      }
    }
  }
  return samples;
}

function show(name: string, samples: Samples): void {
  console.log(name);
  console.table(
    Object.fromEntries(
      Object.entries(samples).map(([contender, runs]) => [
        contender,
        Object.fromEntries(Object.keys(runs[0] ?? {}).map((figure) => [figure, median(runs, figure)])),
      ]),
    ),
  );
}

try {
  const results: Record<string, Samples> = {};
  const measures = plan(Number(values.windowMs)).filter(({ name }) => wanted?.has(name) ?? true);
  for (const measure of measures) {
    results[measure.name] = await samplesOf(measure);
    if (!values.json) show(measure.name, results[measure.name] as Samples);
  }
  if (values.json) console.log(JSON.stringify(results));
  // A run of a part must not take the place of the whole.
  const out = values.out ?? (isWhole ? 'docs/benchmarks.md' : undefined);
  const text = report(measures, results, [...skipped.values()], Number(values.rounds));
  if (out !== undefined) writeFileSync(out, text);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
