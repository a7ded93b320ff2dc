import { realpathSync } from 'node:fs';

/** A Worker asks for the folder that the process works in, and does not start where that was deleted. */
export function ensureWorkingFolder(): void {
  try {
    realpathSync.native('.');
  } catch {
    process.chdir('/');
  }
}
