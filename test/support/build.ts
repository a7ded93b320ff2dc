import { execFileSync } from 'node:child_process';
import { noteChildren, reap } from './children.ts';

/**
 * Builds once before the tests, because integration tests start `dist/breakwater/main.js` as users do. Behind them no process is
 * left, not even of a test process that was killed.
 */
export default function build(): () => void {
  execFileSync('npm', ['run', '--silent', 'modules'], { stdio: 'inherit' });
  const folder = noteChildren();
  return () => {
    const count = folder === undefined ? 0 : reap(folder);
    if (count > 0) console.error(`${count} processes were left behind by tests, and have been ended`);
  };
}
