import { closeSync } from 'node:fs';
import { endOutgoing, hasEnded } from '../engine/linux/descriptor-socket.ts';

/**
 * The processes that were the proxy before this one, and may still have devices. Each has the other end of a line: it hears by its
 * end that there is no proxy any more, and lets its devices go; this one hears when it has.
 */
export class Formers {
  private readonly lines: number[];

  /** @param lines their descriptors */
  constructor(lines: readonly number[] = []) {
    this.lines = [...lines];
  }

  add(line: number): void {
    this.lines.push(line);
  }

  /** The lines to those that have not ended. */
  alive(): readonly number[] {
    return this.lines.filter((line) => !hasEnded(line));
  }

  /** The process after this one has the lines. */
  leave(): void {
    this.lines.splice(0).forEach(closeSync);
  }

  /** The proxy ends. */
  end(): void {
    this.lines.forEach(endOutgoing);
  }
}
