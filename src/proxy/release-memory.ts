import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadKoffi } from '../engine/linux/koffi.ts';

/** Gives back to the machine what a process has left over that will only wait from now on. */
export function releaseMemory(): void {
  setFlagsFromString('--expose-gc');
  setFlagsFromString('--optimize-for-size'); // it would keep half of it for new objects
  const collect = runInNewContext('gc') as (how: object) => void;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  try {
    loadKoffi().load(null).func('int malloc_trim(size_t pad)')(0);
  } catch {
    // musl has no such function, and gives back by itself
  }
}
