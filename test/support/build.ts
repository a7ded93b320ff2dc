import { execFileSync } from 'node:child_process';

/** Builds once before the tests, because integration tests start `dist/src/main.js` as users do. */
export default function build(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
}
