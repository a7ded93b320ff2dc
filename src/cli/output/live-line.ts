import { printable } from '../../base/printable.ts';
import { cutTo } from './width.ts';

/** Where the output is a file or a pipe, the live line is printed at most so often. */
const PLAIN_INTERVAL_MS = 5_000;
const CLEAR = '\r\u001b[2K';

interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/**
 * One line at the bottom of a terminal that is overwritten in place, with ordinary lines above it. Where the output is
 * not a terminal, the live line is printed anew now and then instead.
 */
export class LiveLine {
  private readonly output: Output;
  private readonly nowMs: () => number;
  private readonly plainIntervalMs: number;
  private live = '';
  private printedMs = Number.NEGATIVE_INFINITY;

  constructor(output: Output, nowMs: () => number, plainIntervalMs: number = PLAIN_INTERVAL_MS) {
    this.output = output;
    this.nowMs = nowMs;
    this.plainIntervalMs = plainIntervalMs;
  }

  /** An ordinary line. */
  print(line: string): void {
    const shown = printable(line);
    this.output.write(this.live === '' ? `${shown}\n` : `${CLEAR}${shown}\n${this.cut(this.live)}`);
  }

  /** The new state of the live line. */
  update(line: string): void {
    if (this.output.isTTY) {
      this.live = printable(line);
      this.output.write(CLEAR + this.cut(this.live));
    } else if (this.nowMs() - this.printedMs >= this.plainIntervalMs) {
      this.printedMs = this.nowMs();
      this.output.write(`${printable(line)}\n`);
    }
  }

  /** Leaves the live line as it stands. */
  end(): void {
    if (this.live !== '') this.output.write('\n');
    this.live = '';
  }

  /** A wrapped line cannot be overwritten. */
  private cut(line: string): string {
    return cutTo(line, (this.output.columns ?? 80) - 1);
  }
}
