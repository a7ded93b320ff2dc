import { execFileSync } from 'node:child_process';
import { noteChildren, reap } from './children.ts';

/** More than one project needs it; set for the time of a run. */
const BUILT = 'BREAKWATER_TEST_BUILT';

/**
 * Builds once before the tests, because integration tests start `dist/breakwater/main.js` as users do. Behind them no process is
 * left, not even of a test process that was killed.
 */
export default function build(): (() => void) | undefined {
  if (process.env[BUILT]) return undefined;
  process.env[BUILT] = 'yes';
  execFileSync('npm', ['run', '--silent', 'modules'], { stdio: 'inherit' });
  const folder = noteChildren();
  return () => {
    delete process.env[BUILT];
    const count = folder === undefined ? 0 : reap(folder);
    if (count > 0) console.error(`${count} processes were left behind by tests, and have been ended`);
  };
}
