import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { searchPath } from './proxies.ts';

/** Time to spend on waiting for others to leave the cores alone, in all. */
export interface RetryPolicy {
  leftMs: number;
}

/** The ticks of proc(5) are 10 ms: this is the least that tells a quiet machine from a busy one. */
const LOOK_MS = 120;

/** Waits for a moment in which nobody else uses the machine, as long as there is patience; false: there is none. */
export async function calm(patience: RetryPolicy): Promise<boolean> {
  const ticks = (): number[] =>
    (readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '').split(/\s+/).slice(1).map(Number);
  for (;;) {
    const before = ticks();
    await sleep(LOOK_MS);
    const spent = ticks().map((now, i) => now - (before[i] as number));
    const total = spent.reduce((sum, part) => sum + part, 0);
    if ((spent[3] as number) > 0.9 * total) return true; // the fourth is idle time (proc(5))
    patience.leftMs -= LOOK_MS;
    if (patience.leftMs <= 0) return false;
  }
}

/** What the figures depend on, one line each, besides the commit of Breakwater. */
export function machine(): string[] {
  const cores = cpus();
  return [
    `${cores[0]?.model.trim()}, ${cores.length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Linux ${release()}`,
    `Node ${process.versions.node}`,
    said('haproxy', '-v'),
    said('nginx', '-v'),
    said('openssl', 'version'),
  ].filter((line) => line !== '');
}

/** The last lines of a page whose figures are of one run: of which build they are, and where they were measured. */
export const origin = (): string =>
  [`Breakwater ${commit()}`, ...machine()].map((line) => `- ${line}`).join('\n');

export const commit = (): string => said('git', 'rev-parse', '--short', 'HEAD');

/** The first line that a program says. */
function said(program: string, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH: searchPath },
  });
  return `${stdout ?? ''}${stderr ?? ''}`.split('\n')[0]?.trim() ?? '';
}
