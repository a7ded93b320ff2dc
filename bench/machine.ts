import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { searchPath } from './proxies.ts';

/** Time to spend on waiting for others to leave the cores alone, in all. */
export interface RetryPolicy {
  leftMs: number;
}

/** Waits for a moment in which nobody else uses the machine, as long as there is patience. */
export async function calm(patience: RetryPolicy): Promise<void> {
  const ticks = (): number[] =>
    (readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '').split(/\s+/).slice(1).map(Number);
  for (; patience.leftMs > 0; patience.leftMs -= 200) {
    const before = ticks();
    await sleep(200);
    const spent = ticks().map((now, i) => now - (before[i] as number));
    const total = spent.reduce((sum, part) => sum + part, 0);
    if ((spent[3] as number) > 0.9 * total) return; // the fourth is idle time (proc(5))
  }
}

/** What the figures depend on, one line each. */
export function machine(): string[] {
  const cores = cpus();
  return [
    `${cores[0]?.model.trim()}, ${cores.length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Linux ${release()}`,
    `Breakwater ${said('git', 'rev-parse', '--short', 'HEAD')} on Node ${process.versions.node}`,
    said('haproxy', '-v'),
    said('nginx', '-v'),
  ].filter((line) => line !== '');
}

/** The first line that a program says. */
function said(program: string, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH: searchPath },
  });
  return `${stdout ?? ''}${stderr ?? ''}`.split('\n')[0]?.trim() ?? '';
}
