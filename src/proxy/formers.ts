import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { endOutgoing, giveByte, hasEnded, takeByte } from '../engine/linux/descriptor-socket.ts';

/** How often each end of a line is looked at. */
const LOOK_MS = 250;

/**
 * The processes that were the proxy before this one, and may still have devices. Each has the other end of a line: it hears by its
 * end that there is no proxy any more, and lets its devices go; this one hears when it has, and when somebody has sent it a SIGHUP.
 */
export class Formers {
  private readonly lines: number[];
  private looks: NodeJS.Timeout | undefined;

  /** @param lines their descriptors */
  constructor(lines: readonly number[] = []) {
    this.lines = [...lines];
  }

  add(line: number): void {
    this.lines.push(line);
  }

  /** Calls back from now on when one has got a SIGHUP; for several that have come by then, once. */
  heed(hangUp: () => void): void {
    if (this.lines.length === 0) return;
    this.looks = setInterval(() => {
      if (this.lines.filter(takeBytes).length > 0) hangUp();
    }, LOOK_MS).unref();
  }

  /** The lines to those that have not ended. */
  alive(): readonly number[] {
    return this.lines.filter((line) => !hasEnded(line));
  }

  /** The process after this one has the lines. */
  leave(): void {
    clearInterval(this.looks);
    this.lines.splice(0).forEach(closeSync);
  }

  /** The proxy ends. */
  end(): void {
    clearInterval(this.looks);
    this.lines.forEach(endOutgoing);
  }
}

/** False: there were none. */
function takeBytes(line: number): boolean {
  let some = false;
  while (takeByte(line)) some = true;
  return some;
}

/** The end of such a line that a process has which was the proxy: to whichever process is it. */
export class ProxyLine {
  private readonly line: number;
  private isClosed = false;

  /** @param line its descriptor */
  constructor(line: number) {
    this.line = line;
  }

  /** Somebody has sent this process a SIGHUP. */
  hangUp(): void {
    if (!this.isClosed) giveByte(this.line);
  }

  /** Resolves when there is no proxy any more. */
  async ended(): Promise<void> {
    while (!this.isClosed && !hasEnded(this.line)) await sleep(LOOK_MS);
  }

  /** The proxy waits for it. */
  close(): void {
    this.isClosed = true;
    closeSync(this.line);
  }
}
