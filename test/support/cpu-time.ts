import { existsSync, readFileSync } from 'node:fs';
import { afterAll } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** CPU time of a test file that has a process of its own, with that of all processes that it started and ended. */
    cpuSeconds?: number;
  }
}

/** Ticks of the fields `utime`, `stime`, `cutime` and `cstime` (proc(5)), of which Linux shows a hundred a second. */
const STAT = '/proc/self/stat';
const TICKS_PER_SECOND = 100;

/** Registered before all others, so that it runs behind them: what they end is counted then. A setup file. */
// biome-ignore lint/correctness/noEmptyPattern: vitest reads the parameter, which must be a pattern.
afterAll(({}, file) => {
  if (!existsSync(STAT)) return;
  const fields = readFileSync(STAT, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
    .slice(11, 15);
  file.meta.cpuSeconds = fields.reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
});
