import { loadKoffi } from './koffi.ts';

/** What the first process of a container owes the others there: it reaps those that have lost their parent. */

const ANY_CHILD = -1;
const WNOHANG = 1;

let waitpid: ((pid: number, status: null, options: number) => number) | undefined;

/**
 * Reaps all children that have ended, those of libuv too: no `exit` of a ChildProcess comes behind it, so it is for a process that
 * waits for no child any more. @throws Error where koffi cannot be loaded
 */
export function reapChildren(): void {
  waitpid ??= loadKoffi().load(null).func('int waitpid(int pid, void *status, int options)');
  while (waitpid(ANY_CHILD, null, WNOHANG) > 0);
}
