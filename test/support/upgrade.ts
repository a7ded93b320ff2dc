import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import type { StatusView, UpgradeView } from '../../src/admin/backend.ts';
import { PROTOCOL } from '../../src/handover/protocol.ts';
import { type Breakwater, startBreakwater } from './breakwater.ts';
import { main, run } from './cli.ts';
import { atEnd, temporaryDirectory } from './process.ts';
import { until } from './wait.ts';

/** A program that differs from the one under test. */
interface Build {
  readonly version: string;
  /** Of the hand-over; that of the program if it is not given. */
  readonly protocol?: number;
}

/** A proxy that runs, and what can be installed in its place. */
export interface Installed extends Breakwater {
  /** By the command line. @throws Error with what it says where it fails */
  upgrade(): Promise<UpgradeView>;
  /** What the program is from now on, as the text of its first file. */
  install(text: string): void;
  /** Another build takes the place of the program, as npm does it: the folder is renamed, another one has its name, and the first is deleted. */
  replace(build: Build): void;
  status(): Promise<StatusView>;
  /** Its processes, the one that was started first too. */
  processes(): number[];
}

/**
 * Starts a proxy from a copy of the program of its own. All its processes end with the test file.
 * @param options.wrap what goes before the command
 * @param options.node the Node.js that runs it
 */
export async function startInstalled(
  config: object,
  {
    env,
    wrap,
    node,
  }: { readonly env?: NodeJS.ProcessEnv; readonly wrap?: readonly string[]; readonly node?: string } = {},
): Promise<Installed> {
  const directory = temporaryDirectory();
  const folder = join(directory, 'breakwater');
  const program = join(folder, 'dist/breakwater/main.js');
  copyProgram(folder);
  const proxy = await startBreakwater(config, [], env, wrap, program, node);
  atEnd(() => endAll(program));
  return {
    ...proxy,
    install: (text) => writeFileSync(program, text),
    replace(build) {
      const [next, last] = [join(directory, '.next'), join(directory, '.last')];
      copyProgram(next, build);
      renameSync(folder, last);
      renameSync(next, folder);
      rmSync(last, { recursive: true });
    },
    status: () => proxy.api<StatusView>('status'),
    processes: () => processesOf(program),
    async upgrade() {
      const { code, stdout, stderr } = await run(['upgrade', '--json', '--admin', proxy.adminUrl]);
      if (code !== 0) throw new Error(stderr);
      return JSON.parse(stdout) as UpgradeView;
    },
  };
}

function copyProgram(folder: string, build?: Build): void {
  const root = resolve(import.meta.dirname, '../..');
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as object;
  mkdirSync(folder);
  cpSync(resolve(main, '..'), join(folder, 'dist/breakwater'), { recursive: true });
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ ...own, ...(build && { version: build.version }) }),
  );
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  if (build?.protocol !== undefined) speakOnly(build.protocol, join(folder, 'dist/breakwater'));
}

/** Both sides of the hand-over, in a program that is built. */
function speakOnly(protocol: number, folder: string): void {
  const edits = [
    ['proxy.js', `!protocols.includes(${PROTOCOL})`, `!protocols.includes(${protocol})`],
    ['take-over.js', `protocols = [${PROTOCOL}]`, `protocols = [${protocol}]`],
  ] as const;
  for (const [name, was, is] of edits) {
    const path = join(folder, name);
    const text = readFileSync(path, 'utf8');
    if (!text.includes(was)) throw new Error(`${name} does not say: ${was}`);
    writeFileSync(path, text.replace(was, is));
  }
}

function processesOf(program: string): number[] {
  return pids().filter((pid) => commandOf(pid).includes(program));
}

function pids(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

async function endAll(program: string): Promise<void> {
  for (const pid of processesOf(program)) process.kill(pid, 'SIGKILL');
  await until(() => processesOf(program).length === 0, 'the processes of the proxy to end');
}
