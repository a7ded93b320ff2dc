import { existsSync, readFileSync } from 'node:fs';
import { afterAll } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** CPU time of a test file while its process ran no other, with that of all processes that it started and ended. */
    cpuSeconds?: number;
  }
}

/** Ticks of the fields `utime`, `stime`, `cutime` and `cstime` (proc(5)), of which Linux shows a hundred a second. */
const STAT = '/proc/self/stat';
const TICKS_PER_SECOND = 100;

function ticks(): number {
  if (!existsSync(STAT)) return 0;
  const fields = readFileSync(STAT, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
    .slice(11, 15);
  return fields.reduce((sum, each) => sum + Number(each), 0);
}

/** A process may have run other files before. */
const before = ticks();

/** Registered before all others, so that it runs behind them: what they end is counted then. A setup file. */
// biome-ignore lint/correctness/noEmptyPattern: vitest reads the parameter, which must be a pattern.
afterAll(({}, file) => {
  file.meta.cpuSeconds = (ticks() - before) / TICKS_PER_SECOND;
});
