import { execFile } from 'node:child_process';
import { adopt } from './children.ts';
import { patience } from './wait.ts';

export interface Finished {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export const main = new URL('../../dist/breakwater/main.js', import.meta.url).pathname;

/** Runs `breakwater …args` to its end, at most 20 seconds on a quiet machine. */
export function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: patience(20_000) };
    const child = execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? 'unknown'), stdout, stderr });
    });
    adopt(child);
  });
}
