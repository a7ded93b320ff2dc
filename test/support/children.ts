import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Whatever ends a test process, its children end with it: by `atEnd` as a rule, at the latest by the exit of the process,
 * and where it was killed before that, by who started it, from a note of each child (`reap`).
 */

/** Notes of living children, one file each; set by the process that runs the tests. */
const FOLDER = 'BREAKWATER_TEST_CHILDREN';
const PREFIX = 'breakwater-children-';

const living = new Set<ChildProcess>();

function killAll(): void {
  for (const child of living) child.kill('SIGKILL');
}
process.on('exit', killAll);
process.once('SIGTERM', () => {
  killAll();
  process.kill(process.pid, 'SIGTERM'); // as if nobody had listened
});

/** From now on this child does not outlive the present process. */
export function adopt<C extends ChildProcess>(child: C): C {
  const { pid } = child;
  if (pid === undefined) return child;
  living.add(child);
  const folder = process.env[FOLDER];
  const note = folder && join(folder, String(pid));
  if (note) writeFileSync(note, startOf(pid) ?? '');
  child.once('exit', () => {
    living.delete(child);
    if (note) rmSync(note, { force: true });
  });
  return child;
}

/** When a process began, which tells it from another of the same number; undefined where there is none (proc(5)). */
function startOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Has test processes note their children in this folder (Linux); what runs that were killed have left behind is ended. */
export function noteChildren(): string | undefined {
  const start = startOf(process.pid);
  if (start === undefined) return undefined;
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const [pid, began] = name.slice(PREFIX.length).split('-');
    if (startOf(Number(pid)) !== began) reap(join(tmpdir(), name));
  }
  const folder = join(tmpdir(), `${PREFIX}${process.pid}-${start}`);
  mkdirSync(folder, { recursive: true });
  process.env[FOLDER] = folder;
  return folder;
}

/** Ends every child that is noted and still the same process; how many there were. */
export function reap(folder: string): number {
  if (!existsSync(folder)) return 0;
  let count = 0;
  for (const note of readdirSync(folder)) {
    const start = readFileSync(join(folder, note), 'latin1');
    if (start === '' || startOf(Number(note)) !== start) continue;
    process.kill(Number(note), 'SIGKILL');
    count++;
  }
  rmSync(folder, { recursive: true, force: true });
  return count;
}
