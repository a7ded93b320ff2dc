import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import type { Figures, Task } from './load/measures.ts';
import { contenders, type Running, run } from './proxies.ts';

/** Runs every measure against every contender, alternating, and prints medians. See docs/benchmarks.md. */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: contenders.map(({ name }) => name).join(',') },
    measures: { type: 'string', default: 'fanIn,echo,latency,connects,idle' },
    windowMs: { type: 'string', default: '2000' },
    json: { type: 'boolean', default: false },
  },
});

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const SINK_PORT = 21_883;
const FIRST_PORT = 21_900;

type Settings = Pick<Task, 'connections' | 'ratePerSecond' | 'warmUpMs' | 'windowMs'>;
const windowMs = Number(values.windowMs);
const settings: Readonly<Record<string, Settings>> = {
  fanIn: { connections: 500, ratePerSecond: 40_000, warmUpMs: 400, windowMs },
  echo: { connections: 64, ratePerSecond: 0, warmUpMs: 400, windowMs },
  latency: { connections: 500, ratePerSecond: 20_000, warmUpMs: 400, windowMs },
  connects: { connections: 64, ratePerSecond: 0, warmUpMs: 400, windowMs },
  idle: { connections: 8000, ratePerSecond: 0, warmUpMs: 0, windowMs: 500 },
};

const LOAD = resolve('dist/bench/load/main.js');

/** A window in which something else wanted the cores is measured again, a few times. */
const PREEMPTIONS_PER_SECOND = 60;
const ATTEMPTS = 5;

/** Waits for a moment in which nobody else uses the machine, but not for ever. */
async function calm(): Promise<void> {
  const ticks = (): number[] =>
    (readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '').split(/\s+/).slice(1).map(Number);
  for (let tries = 0; tries < 100; tries++) {
    const before = ticks();
    await sleep(200);
    const spent = ticks().map((now, i) => now - (before[i] as number));
    const total = spent.reduce((sum, part) => sum + part, 0);
    if ((spent[3] as number) > 0.9 * total) return; // the fourth is idle time (proc(5))
  }
}

async function calmest(name: string, contender: Running): Promise<Figures> {
  let best: Figures | undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await calm();
    const figures = await measure(name, contender);
    const preempted = figures.preempted ?? 0;
    if (best === undefined || preempted < (best.preempted ?? 0)) best = figures;
    if (preempted <= (PREEMPTIONS_PER_SECOND * (settings[name] as Settings).windowMs) / 1000) break;
  }
  return best as Figures;
}

async function measure(name: string, contender: Running): Promise<Figures> {
  const at = (port: number) => ({ host: '127.0.0.1', port });
  const task = { ...settings[name], proxy: at(contender.port), sink: at(SINK_PORT), pids: contender.pids() };
  const { stdout } = await promisify(execFile)('taskset', [
    '-c',
    String(LOAD_CORE),
    process.execPath,
    LOAD,
    name,
    JSON.stringify(task),
  ]);
  return JSON.parse(stdout) as Figures;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function medians(runs: readonly Figures[]): Figures {
  const keys = Object.keys(runs[0] ?? {});
  return Object.fromEntries(keys.map((key) => [key, median(runs.map((figures) => figures[key] as number))]));
}

const directory = mkdtempSync(join(tmpdir(), 'breakwater-bench-'));
const chosen = contenders.filter(({ name }) => values.only.split(',').includes(name));
const results: Record<string, Record<string, Figures>> = {};
let running: Running[] = [];

async function startAll(): Promise<void> {
  for (const contender of chosen) {
    const proxy = FIRST_PORT + contenders.indexOf(contender);
    running.push(await run(contender, { proxy, sink: SINK_PORT }, directory, PROXY_CORE));
  }
}

async function stopAll(): Promise<void> {
  await Promise.all(running.map((proxy) => proxy.stop()));
  running = [];
}

try {
  for (const name of values.measures.split(',')) {
    const all = new Map<string, Figures[]>(chosen.map((contender) => [contender.name, []]));
    await startAll();
    const rounds = name === 'idle' ? 1 : Number(values.rounds); // a second round would reuse the memory of the first
    for (let round = 0; round < rounds; round++) {
      for (const proxy of running) {
        if (name === 'idle' && proxy.name === 'direct') continue;
        all.get(proxy.name)?.push(await calmest(name, proxy));
      }
    }
    await stopAll();
    results[name] = Object.fromEntries([...all].map(([contender, runs]) => [contender, medians(runs)]));
    if (values.json) continue;
    console.log(name);
    console.table(results[name]);
  }
  if (values.json) console.log(JSON.stringify(results));
} finally {
  await stopAll();
  rmSync(directory, { recursive: true, force: true });
}
