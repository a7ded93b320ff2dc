import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { adopt } from './children.ts';
import { atEnd } from './process.ts';
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

const commandLines = new URL('command-lines.mjs', import.meta.url).pathname;
const program = new URL('program.js', `file://${main}`).href;

/** The process of `runHere`, and who waits for an answer of it. */
interface Runner {
  readonly child: ChildProcess;
  readonly waiting: Map<number, { done(finished: Finished): void; failed(error: Error): void }>;
}

let runner: Runner | undefined;
let count = 0;

/**
 * The same as `run`, in one process for all command lines of a test file, one after the other: most of what a command takes is
 * the start of its process. Not for those that serve, or that wait for a signal or for another command.
 */
export function runHere(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  runner ??= startRunner();
  const { child, waiting } = runner;
  const id = ++count;
  return new Promise((done, failed) => {
    waiting.set(id, { done, failed });
    child.send({ id, args, env });
  });
}

function startRunner(): Runner {
  const child = adopt(
    fork(commandLines, [program], { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] }),
  );
  const waiting: Runner['waiting'] = new Map();
  let fault = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    fault += text;
  });
  child.on('message', (message) => {
    const { id, ...finished } = message as Finished & { id: number };
    waiting.get(id)?.done(finished);
    waiting.delete(id);
  });
  const closed = once(child, 'close').then(([code, signal]) => {
    if (runner?.child === child) runner = undefined;
    for (const { failed } of waiting.values()) failed(new Error(`ended (${signal ?? code}): ${fault}`));
  });
  atEnd(() => {
    child.kill('SIGKILL');
    return closed;
  });
  return { child, waiting };
}
