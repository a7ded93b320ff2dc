/** Keeps the process running, and its end clean, after its terminal was closed. */

import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';

const STANDARD = [0, 1, 2] as const;

/**
 * A terminal that is closed while we run is no reason to die: what is written there goes nowhere. At the end Node sets
 * terminals back to how it found them, and aborts where one is gone; a descriptor that is closed it passes over.
 */
export function outliveTerminals(): void {
  const terminals = STANDARD.filter((fd) => isatty(fd));
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  process.on('exit', () => {
    for (const fd of terminals) if (!isatty(fd)) close(fd);
  });
}

function close(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // It is closed already.
  }
}
