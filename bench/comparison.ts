import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { freePort } from '../test/support/free-port.ts';
import { contenders } from './contenders.ts';
import {
  type Figured,
  readFigures,
  type Samples,
  without,
  withSample,
  withTrouble,
  writeFigures,
} from './figures.ts';
import type { Figures } from './load/measures.ts';
import { calm, commit, machine, type RetryPolicy } from './machine.ts';
import { expectedMs, LOAD_CORE, type Measure, type Pace, plan, roundsOf } from './plan.ts';
import { plots } from './plots.ts';
import { CannotRun, type Running, run } from './proxies.ts';
import { report } from './report.ts';
import { median } from './statistics.ts';

/** Runs every measure against every contender, alternating, and writes docs/benchmarks.md with its plots. */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    measures: { type: 'string' },
    merge: { type: 'boolean', default: false },
    continue: { type: 'boolean', default: false },
    page: { type: 'boolean', default: false },
    figures: { type: 'string', default: 'dist/benchmarks.json' },
    warmUpMs: { type: 'string', default: '3000' },
    windowMs: { type: 'string', default: '700' },
    patienceMs: { type: 'string', default: '30000' },
    json: { type: 'boolean', default: false },
  },
});

const LOAD = resolve('dist/bench/load/main.js');
const LOAD_TIMEOUT_MS = 60_000;
const PAGE = 'docs/benchmarks.md';

const asked = (list: string | undefined): ReadonlySet<string> | undefined =>
  list === undefined ? undefined : new Set(list.split(','));
const only = asked(values.only);
const wanted = asked(values.measures);
const pace: Pace = {
  rounds: Number(values.rounds),
  warmUpMs: Number(values.warmUpMs),
  windowMs: Number(values.windowMs),
};
const whole = plan(pace);
const measures = values.page ? [] : whole.filter(({ name }) => wanted?.has(name) ?? true);
for (const name of wanted ?? [])
  if (!whole.some((each) => each.name === name))
    throw new Error(`there is no measure ${name}; there are ${whole.map((each) => each.name).join(', ')}`);
/** A run of a part must not take the place of the whole. */
const writesPage = only === undefined && (wanted === undefined || values.merge || values.continue);
const patience: RetryPolicy = { leftMs: Number(values.patienceMs) };
const head = commit();
const sinkPort = await freePort();
/** Of each contender that has taken part: connections that are not quite over are nobody else's. */
const ports = new Map<string, number>();
/** Contenders that cannot run on this machine. */
const absent = new Set<string>();
let figured = begun();

/** What earlier runs have measured, as far as this one is to keep it. */
function begun(): Figured {
  const here = machine();
  const keeps = values.merge || values.continue || values.page;
  if (!keeps || !existsSync(values.figures)) return { machine: here, measures: {} };
  const kept = readFigures(values.figures, here);
  return values.merge
    ? without(
        kept,
        measures.map(({ name }) => name),
      )
    : kept;
}

/** Of a part that is only looked at nothing is kept. */
function keep(next: Figured): void {
  figured = next;
  if (writesPage) writeFigures(values.figures, figured);
}

/** Stand-ins measure an engine alone, and take part only when they are asked for. */
const takesPart = (name: string): boolean => only?.has(name) ?? !name.startsWith('engine-');

async function started(measure: string, name: string, directory: string): Promise<Running | undefined> {
  const contender = contenders.find((each) => each.name === name);
  if (contender === undefined) throw new Error(`there is no contender ${name}`);
  if (absent.has(name)) return undefined;
  try {
    const port = ports.get(name) ?? (await freePort());
    ports.set(name, port);
    return await run(contender, { proxy: port, sink: sinkPort }, directory);
  } catch (error) {
    if (!(error instanceof CannotRun)) throw error;
    absent.add(name);
    trouble(measure, error.message);
    return undefined;
  }
}

function trouble(measure: string, text: string): void {
  console.error(`${measure}: ${text}`);
  keep(withTrouble(figured, measure, text, new Date()));
}

async function load({ load, settings }: Measure, contender: Running): Promise<Figures> {
  const at = (port: number) => ({ host: '127.0.0.1', port });
  const task = { ...settings, proxy: at(contender.port), sink: at(sinkPort), pids: contender.pids() };
  const command = ['-c', String(LOAD_CORE), process.execPath, LOAD, load, JSON.stringify(task)];
  const { stdout } = await promisify(execFile)('taskset', command, { timeout: LOAD_TIMEOUT_MS });
  const figures = JSON.parse(stdout) as Figures;
  const missing = Object.keys(figures).filter((figure) => !Number.isFinite(figures[figure]));
  if (missing.length > 0) throw new Error(`nothing was counted for ${missing.join(', ')}`);
  return figures;
}

/**
 * Every sample is of a new process: memory that is given back stays with its process, and so does the luck of the
 * compiler, which is worth some percent.
 */
async function sample(measure: Measure, contender: string, directory: string): Promise<void> {
  const running = await started(measure.name, contender, directory);
  if (running === undefined) return;
  try {
    const wasDisturbed = !(await calm(patience));
    const at = new Date();
    const figures = await load(measure, running);
    keep(withSample(figured, { measure: measure.name, contender, figures, at, commit: head, wasDisturbed }));
  } catch (error) {
    // One sample that fails takes no other with it.
    trouble(measure.name, `a sample of ${contender} failed: ${lastLineOf(error)}`);
    process.exitCode = 1;
  } finally {
    await running.stop();
  }
}

/** The one of a load's error that says what happened. */
function lastLineOf(error: unknown): string {
  const { stderr = '', message } = error as Error & { stderr?: string };
  return /^\w*Error: (.*)$/m.exec(stderr)?.[1] ?? message.split('\n')[0] ?? '';
}

async function measureAll(measure: Measure, directory: string): Promise<void> {
  for (let round = 0; round < roundsOf(measure, pace); round++) {
    for (const name of measure.contenders.filter(takesPart)) {
      const done = figured.measures[measure.name]?.samples[name]?.length ?? 0;
      if (done <= round) await sample(measure, name, directory);
    }
  }
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

const minutes = (ms: number): string => `${(ms / 60_000).toFixed(1)} minutes`;
const directory = mkdtempSync(join(tmpdir(), 'breakwater-bench-'));
const startMs = performance.now();
try {
  console.error(`${measures.length} measures, about ${minutes(expectedMs(measures, pace, takesPart))}`);
  for (const measure of measures) {
    await measureAll(measure, directory);
    if (!values.json) show(measure.name, figured.measures[measure.name]?.samples ?? {});
    console.error(`${measure.name} is done after ${minutes(performance.now() - startMs)}`);
  }
  if (values.json) console.log(JSON.stringify(figured.measures));
  if (writesPage) {
    writeFileSync(PAGE, report(whole, figured));
    for (const { file, text } of plots(figured)) writeFileSync(join('docs', file), text);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
