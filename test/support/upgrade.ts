import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { StatusView, UpgradeView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from './breakwater.ts';
import { main, run } from './cli.ts';
import { atEnd, temporaryDirectory } from './process.ts';
import { until } from './wait.ts';

/** A proxy that runs, and what can be installed in its place. */
export interface Installed extends Breakwater {
  /** By the command line. @throws Error with what it says where it fails */
  upgrade(): Promise<UpgradeView>;
  /** What the program is from now on, as the text of its first file. */
  install(text: string): void;
  status(): Promise<StatusView>;
  /** Its processes, the one that was started first too. */
  processes(): number[];
}

/**
 * Starts a proxy from a copy of the program of its own. All its processes end with the test file.
 * @param wrap what goes before the command
 */
export async function startInstalled(
  config: object,
  { env, wrap }: { readonly env?: NodeJS.ProcessEnv; readonly wrap?: readonly string[] } = {},
): Promise<Installed> {
  const directory = temporaryDirectory();
  const root = resolve(import.meta.dirname, '../..');
  const program = join(directory, 'dist/breakwater/main.js');
  cpSync(resolve(main, '..'), join(directory, 'dist/breakwater'), { recursive: true });
  cpSync(join(root, 'package.json'), join(directory, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  const proxy = await startBreakwater(config, [], env, wrap, program);
  atEnd(() => endAll(program));
  return {
    ...proxy,
    install: (text) => writeFileSync(program, text),
    status: () => proxy.api<StatusView>('status'),
    processes: () => processesOf(program),
    async upgrade() {
      const { code, stdout, stderr } = await run(['upgrade', '--json', '--admin', proxy.adminUrl]);
      if (code !== 0) throw new Error(stderr);
      return JSON.parse(stdout) as UpgradeView;
    },
  };
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
